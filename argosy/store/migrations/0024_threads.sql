-- Synchronous user code that is never done holds threads: how many at a worker, and which turns wait for one (the first of
-- them, for explain).
ALTER TABLE heartbeats
  ADD COLUMN threads_abandoned integer NOT NULL DEFAULT 0,
  ADD COLUMN thread_waits uuid[] NOT NULL DEFAULT '{}';
