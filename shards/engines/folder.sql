-- folder.db: what belongs to the folder of a shard, and to no graph in it.

-- name: make_folder
CREATE TABLE member (member_id BLOB NOT NULL);

-- Graphs that were dropped here. generation: the last one that was. file: that is still to be removed.
CREATE TABLE dropped (
  incarnation BLOB NOT NULL UNIQUE,
  generation INTEGER NOT NULL,
  file TEXT,
  number INTEGER PRIMARY KEY
);
CREATE INDEX dropped_file ON dropped (file) WHERE file IS NOT NULL;

-- name: insert_member
INSERT INTO member VALUES (?)

-- name: read_member
SELECT member_id FROM member

-- name: find_dropped
SELECT generation, file FROM dropped WHERE incarnation = ?

-- name: insert_dropped
INSERT INTO dropped (incarnation, generation, file) VALUES (?, ?, ?)
ON CONFLICT (incarnation) DO UPDATE SET generation = max(generation, excluded.generation), file = coalesce(excluded.file, file)

-- name: file_removed
UPDATE dropped SET file = NULL WHERE incarnation = ?

-- name: forget_dropped
-- All but the newest.
DELETE FROM dropped WHERE number <= (SELECT max(number) FROM dropped) - ? AND file IS NULL

-- name: files_to_remove
SELECT incarnation, file FROM dropped WHERE file IS NOT NULL
