-- Feeds of lines: argosy/graph/feeds.py. Their tables are made with the first one, so that the file of a graph without
-- is what it was, and a version that knows no feeds opens any.

-- name: make_feeds
-- next, chain: of the line that the feed waits for, and of those before. made_at_ms: 0: it is never forgotten.
CREATE TABLE feed (
  feed TEXT PRIMARY KEY,
  next INTEGER NOT NULL,
  chain BLOB NOT NULL,
  applied INTEGER NOT NULL,
  rejected INTEGER NOT NULL,
  made_at_ms INTEGER NOT NULL,
  used_at_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX feed_used ON feed (used_at_ms) WHERE made_at_ms > 0;
-- Lines that could not be done. start: the first bytes.
CREATE TABLE refused (
  feed TEXT NOT NULL,
  line INTEGER NOT NULL,
  code TEXT NOT NULL,
  reason TEXT NOT NULL,
  start BLOB NOT NULL,
  PRIMARY KEY (feed, line)
) WITHOUT ROWID;
-- One row. made_ms: a feed that was made then or before may have been here and be forgotten.
CREATE TABLE feed_forgotten (made_ms INTEGER NOT NULL);
INSERT INTO feed_forgotten VALUES (0);

-- name: has_feeds
SELECT 1 FROM sqlite_schema WHERE name = 'feed_forgotten'

-- name: find_feed
SELECT feed, next, chain, applied, rejected FROM feed WHERE feed = ?

-- name: forgotten_ms
SELECT made_ms FROM feed_forgotten

-- name: upsert_feed
-- made_at_ms stays as it was said first.
INSERT INTO feed (feed, next, chain, applied, rejected, made_at_ms, used_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (feed) DO UPDATE
SET next = excluded.next, chain = excluded.chain, applied = excluded.applied, rejected = excluded.rejected,
    used_at_ms = max(used_at_ms, excluded.used_at_ms)

-- name: end_feed
-- It waits for the greatest number, so that no line is next, and knows all before: who sends them sends them no more.
INSERT INTO feed (feed, next, chain, applied, rejected, made_at_ms, used_at_ms) VALUES (?, ?, ?, 0, 0, ?, ?)
ON CONFLICT (feed) DO UPDATE
SET next = excluded.next, chain = excluded.chain, used_at_ms = max(used_at_ms, excluded.used_at_ms)

-- name: insert_refused
INSERT INTO refused (feed, line, code, reason, start) VALUES (?, ?, ?, ?, ?)

-- name: find_refused
SELECT line, code, reason, start FROM refused WHERE feed = ? AND line > ? ORDER BY line LIMIT ?

-- name: forget_feeds
DELETE FROM feed
WHERE feed IN (
  SELECT feed FROM feed WHERE used_at_ms < ? AND made_at_ms > 0 ORDER BY used_at_ms LIMIT ?
)
RETURNING feed, made_at_ms

-- name: forget_refused
DELETE FROM refused WHERE feed = ?

-- name: set_forgotten
UPDATE feed_forgotten SET made_ms = max(made_ms, ?)

-- name: chunks_of_document
SELECT dst FROM edge WHERE src = ? AND type = ?

-- name: all_feeds
SELECT feed, next, chain, applied, rejected, made_at_ms, used_at_ms FROM feed ORDER BY feed

-- name: all_refused
SELECT feed, line, code, reason, start FROM refused ORDER BY feed, line

-- name: restore_feed
INSERT INTO feed (feed, next, chain, applied, rejected, made_at_ms, used_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?)

-- name: stray_refused
-- Of a feed that is not there, or that has not come to the line.
SELECT r.feed, r.line FROM refused AS r
WHERE NOT EXISTS (SELECT 1 FROM feed AS f WHERE f.feed = r.feed AND f.next > r.line)
LIMIT 1
