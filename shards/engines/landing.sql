-- folder.db: graphs that are received from elsewhere, and are none yet.

-- name: make_landing
-- file: in the folder. stage: see Stage in landing_rows.py. base_sha256: empty until the base is whole.
CREATE TABLE IF NOT EXISTS landing (
  copy_id BLOB PRIMARY KEY,
  incarnation BLOB NOT NULL,
  generation INTEGER NOT NULL,
  file TEXT NOT NULL,
  stage INTEGER NOT NULL,
  base_sha256 BLOB NOT NULL
) WITHOUT ROWID;

-- name: all_landings
SELECT copy_id, incarnation, generation, file, stage, base_sha256 FROM landing

-- name: find_landing
SELECT copy_id, incarnation, generation, file, stage, base_sha256 FROM landing WHERE copy_id = ?

-- name: put_landing
INSERT INTO landing (copy_id, incarnation, generation, file, stage, base_sha256) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (copy_id) DO UPDATE SET stage = excluded.stage, base_sha256 = excluded.base_sha256

-- name: delete_landing
DELETE FROM landing WHERE copy_id = ?
