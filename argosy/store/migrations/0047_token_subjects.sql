-- Whom access control lists take a token for: subject_id is the id of the first token of those that each took the place of the one
-- before, by rotations. NULL: its own id, of a token that took nobody's place, or did before this was noted.
ALTER TABLE tokens ADD COLUMN subject_id uuid;
