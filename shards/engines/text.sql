-- The index of words. It has no texts itself: rowid is node.number, and words.py made its words, so that the tokenizer
-- only splits at spaces: of ASCII it takes letters, digits and the symbols below, and everything that is not ASCII.

-- name: make_index
CREATE VIRTUAL TABLE words USING fts5 (
  id, label, props, content='', contentless_delete=1, tokenize="ascii tokenchars '$+<=>^|~`#@&%'"
);
-- One row: nodes up to this number are in the index.
CREATE TABLE words_built (number INTEGER NOT NULL);
INSERT INTO words_built VALUES (-9223372036854775808);

-- name: has_index
SELECT 1 FROM sqlite_schema WHERE name = 'words_built'

-- name: built_to
SELECT number FROM words_built

-- name: set_built_to
UPDATE words_built SET number = ?

-- name: nodes_after
SELECT number, id, label, props FROM node WHERE number > ? ORDER BY number LIMIT ?

-- name: put_words
INSERT OR REPLACE INTO words (rowid, id, label, props) VALUES (?, ?, ?, ?)

-- name: remove_words
DELETE FROM words WHERE rowid = ?

-- name: count_matches
-- As far as ?2.
SELECT count(*) FROM (SELECT 1 FROM words WHERE words MATCH ?1 LIMIT ?2)

-- name: newest
SELECT n.id, n.label, n.props, n.version, n.turn_id, n.step_key, 0.0
FROM (SELECT rowid AS number FROM words WHERE words MATCH ? ORDER BY rowid DESC LIMIT ?) AS found
CROSS JOIN node AS n ON n.number = found.number
ORDER BY n.number DESC

-- name: search
-- A word of an id counts for four of props, one of a label for two.
SELECT n.id, n.label, n.props, n.version, n.turn_id, n.step_key, -best.score
FROM (
  SELECT rowid AS number, bm25(words, 4.0, 2.0, 1.0) AS score FROM words WHERE words MATCH ?1
  ORDER BY score, number LIMIT ?2
) AS best CROSS JOIN node AS n ON n.number = best.number
ORDER BY best.score, n.number

-- name: search_within
-- As search, among those that match ?3. (The + keeps SQLite from asking anew for each of these.)
SELECT n.id, n.label, n.props, n.version, n.turn_id, n.step_key, -best.score
FROM (
  SELECT rowid AS number, bm25(words, 4.0, 2.0, 1.0) AS score FROM words
  WHERE words MATCH ?1 AND +rowid IN (SELECT rowid FROM words WHERE words MATCH ?3)
  ORDER BY score, number LIMIT ?2
) AS best CROSS JOIN node AS n ON n.number = best.number
ORDER BY best.score, n.number
