-- What each worker process can run. Written once, with its row in `workers`. is_latest: what a turn of the name that has
-- begun nowhere yet runs there.
CREATE TABLE abilities (
  worker_id uuid NOT NULL REFERENCES workers ON DELETE CASCADE,
  name text NOT NULL,
  version text NOT NULL,
  is_latest boolean NOT NULL,
  PRIMARY KEY (worker_id, name, version)
);
CREATE INDEX abilities_by_name ON abilities (name, version);
