-- Functions alone: what a turn has not taken of its signals is bounded (functions/signal.sql).
SELECT 1;
