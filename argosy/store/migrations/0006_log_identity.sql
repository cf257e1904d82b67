-- Which log the positions of a lane belong to now: two fleets on different logs must not share a database unnoticed, and a
-- topic that was made again is another log (positions are kept per log; this says which one counts).
CREATE TABLE lane_logs (
  lane text PRIMARY KEY,
  cluster_id text NOT NULL,
  topic_id text NOT NULL,
  topic text NOT NULL,
  partition_count integer NOT NULL,
  since timestamptz NOT NULL DEFAULT now(),
  replaced_at timestamptz, -- the log before was lost or given up then
  replaced text            -- and what that means, in words
);
