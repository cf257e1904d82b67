-- name: count_open
-- Of the turns that have not ended, after a place in the order of turns_open, $5 at the most: how many there are of each lane
-- and status, the age of the oldest since it was accepted or fell due, and (in each row) the last place. A scan over
-- that index alone: ended turns cost nothing.
WITH looked AS MATERIALIZED (
  SELECT t.lane, t.bucket, t.session_id, t.place, t.status, greatest(t.accepted_at, t.not_before) AS since
  FROM turns AS t
  WHERE (t.lane, t.bucket, t.session_id, t.place) > ($1::text, $2::smallint, $3::uuid, $4::bigint)
    AND t.status IN ('queued', 'running', 'suspended', 'parked') AND t.place IS NOT NULL
  ORDER BY t.lane, t.bucket, t.session_id, t.place LIMIT $5),
last AS (
  SELECT lane, bucket, session_id, place FROM looked
  ORDER BY lane DESC, bucket DESC, session_id DESC, place DESC LIMIT 1)
SELECT looked.lane, looked.status, count(*), extract(epoch FROM now() - min(looked.since))::double precision,
       last.lane, last.bucket, last.session_id, last.place
FROM looked CROSS JOIN last
GROUP BY looked.lane, looked.status, last.lane, last.bucket, last.session_id, last.place

-- name: count_dead_letters
-- How many dead letters of each lane are kept; of a lane no more than $1 are counted. A loose scan over dead_letters_by_time
-- finds the lanes.
WITH RECURSIVE found AS (
  (SELECT d.lane FROM dead_letters AS d ORDER BY d.lane LIMIT 1)
  UNION ALL
  SELECT (SELECT d.lane FROM dead_letters AS d WHERE d.lane > found.lane ORDER BY d.lane LIMIT 1)
  FROM found WHERE found.lane IS NOT NULL)
SELECT found.lane, (SELECT count(*) FROM (SELECT 1 FROM dead_letters AS d WHERE d.lane = found.lane LIMIT $1) AS counted)
FROM found WHERE found.lane IS NOT NULL
