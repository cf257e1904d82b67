-- Whether a backup has the keys that its payloads need: apart, in a file of their own; none, it needs none. NULL: a version
-- before made it, which left them in the dump.
ALTER TABLE backups ADD COLUMN keys text CHECK (keys IN ('apart', 'none'));
