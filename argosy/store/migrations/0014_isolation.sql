-- The fence refuses a session that does not run read committed: functions/fence.sql, functions/partition.sql.
SELECT 1;
