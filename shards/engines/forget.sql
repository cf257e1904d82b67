-- Forgetting what turns wrote (argosy/graph/forgetting.py). What wrote a fact is in no index: it is asked for rarely, and
-- an index of it would cost every write. ?1: a JSON list of the ids of turns, ?2: of the keys of feeds, which no turn has.

-- name: find_edges
SELECT src, type, dst, version FROM edge
WHERE turn_id IN (SELECT value FROM json_each(?1)) OR (turn_id = '' AND step_key IN (SELECT value FROM json_each(?2)))
LIMIT ?3

-- name: find_nodes
SELECT id, version FROM node
WHERE turn_id IN (SELECT value FROM json_each(?1)) OR (turn_id = '' AND step_key IN (SELECT value FROM json_each(?2)))
LIMIT ?3

-- name: count_edges_of
-- ?1: a JSON list of nodes.
SELECT count(*) FROM (
  SELECT src, type, dst FROM edge WHERE src IN (SELECT value FROM json_each(?1))
  UNION SELECT src, type, dst FROM edge WHERE dst IN (SELECT value FROM json_each(?1)))

-- name: raise_token
INSERT INTO token (session_id, epoch, place, attempt, used_at_ms) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (session_id) DO UPDATE
SET epoch = excluded.epoch, place = excluded.place, attempt = excluded.attempt,
    used_at_ms = max(used_at_ms, excluded.used_at_ms)
WHERE (excluded.epoch, excluded.place, excluded.attempt) > (epoch, place, attempt)

-- name: forget_keys
-- Of a turn: from TURN/ on, and before TURN0, which comes next in the order of bytes.
DELETE FROM applied WHERE batch_key >= ?1 || '/' AND batch_key < ?1 || '0'

-- name: merge_words
-- Makes one part of the index out of several, without what was deleted: a few hundred pages at a time.
INSERT INTO words (words, rank) VALUES ('merge', ?)

-- name: empty_log
PRAGMA wal_checkpoint(TRUNCATE)
