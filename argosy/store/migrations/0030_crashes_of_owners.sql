-- When an owner of a partition died last, as far as whoever had it next found out. A turn of which nothing was written since may
-- be what it died of (workers/dispatch/execution/crash_rule.py), whoever has had the partition meanwhile.
ALTER TABLE partitions ADD COLUMN crashed_at timestamptz;
