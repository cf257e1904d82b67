-- A turn that another worker runs for its owner, because the owner lacks its workflow (functions/build.sql, flush.sql).
-- lent_as: how it goes on there when it was running.
ALTER TABLE turns ADD COLUMN lent_to uuid, ADD COLUMN lent_as text;
CREATE INDEX turns_lent ON turns (lent_to) WHERE lent_to IS NOT NULL;
