-- Due rows are read queue by queue (head.sql, due_inbox): thousands of timers that fell due in one second hide no cancel, no
-- deadline and no signal. inbox_due is what processes of the version before look by; a later migration drops it.
CREATE INDEX inbox_queues ON inbox (
  lane,
  (CASE WHEN kind = 'cancel' THEN 1 WHEN kind = 'timer' AND name = 'deadline' THEN 2 WHEN kind <> 'timer' THEN 3 ELSE 4 END),
  due_at, bucket) WHERE state = 'due';

-- What a turn has that is still open is found beside any number of rows that took effect long ago.
CREATE INDEX inbox_of_turn_by_state ON inbox (turn_id, state);
DROP INDEX inbox_of_turn;
