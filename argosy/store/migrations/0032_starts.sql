-- Turns that another turn started: asked for by its flush, and to be accepted by whoever owns their bucket. Not in the inbox:
-- they have no turn yet, and a process of the version before must not take one for a row whose turn never comes.
-- The last in the order of locks: ... -> inbox -> early -> starts.
CREATE TABLE starts (
  turn_id uuid PRIMARY KEY,
  lane text NOT NULL,
  bucket smallint NOT NULL CHECK (bucket BETWEEN 0 AND 1023),
  tenant text NOT NULL,
  session_id uuid NOT NULL,
  record bytea NOT NULL, -- argosy/record.py
  sent_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX starts_by_bucket ON starts (lane, bucket, sent_at);
