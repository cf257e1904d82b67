-- What a turn that was in crashes of workers is tried for, as workers/dispatch/execution/crash_rule.py has it (JSON). It is
-- written with the turn's start, so that the next owner knows what a crash means, whichever worker that is. flush has
-- another parameter for it; the flush of the version before stays beside it, and leaves the column alone: what it holds
-- names an attempt, and is void for any other.
ALTER TABLE turns ADD COLUMN trial bytea;
