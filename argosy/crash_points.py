"""Named points of a turn's journey at which a test may end this process as kill -9 would. Off unless armed.

Call `crash_points.reach("after_poll")`, and never `from argosy.crash_points import reach`: `arm` replaces the function.
When off, a point costs one attribute look-up and one empty call. Code passes a point once per batch, flush or step.
"""

import os
import signal
from collections.abc import Callable
from typing import Final

from argosy.errors import SettingError

POINTS: Final = (
    "after_poll",  # records were read from the log; nothing is written yet
    "before_accept",  # the accept is about to be sent
    "after_accept",  # the accept is committed; nothing of it is scheduled
    "before_effect",  # inside a step, before its effect; only workflows of tests call it
    "after_effect",  # inside a step, after its effect; only workflows of tests call it
    "graph_embedded",  # vectors were made of what is to be written to a graph; nothing of it is recorded
    "graph_recorded",  # a write to a graph is recorded; no shard has heard of it from this attempt
    "graph_applied",  # a shard has answered what the write came to; that is not recorded
    "in_step",  # the step's code has returned; its result is not recorded
    "before_flush",  # a flush is about to be sent
    "after_flush",  # a flush is committed; neither its turns nor any follower was told
    "feed_committed",  # lines of a feed are durable; neither a view nor who sent them was told
    "upload_begun",  # an upload has a job, and nothing of it was read
    "upload_appended",  # the log has answered for some records of an upload; nobody has noted that
    "upload_ended",  # the log has an upload and its end; the job's row does not say so
    "upload_made",  # the log has what a turn uploads; neither its job's row nor its history says so
    "ingest_polled",  # records of ingest were read; nothing is done with them
    "ingest_sent",  # lines are about to be sent to a shard
    "ingest_applied",  # a shard has answered what it did with lines; nothing is noted
    "ingest_noted",  # what was found out is in Postgres; neither the log nor any shard was told
    "move_copied",  # a graph's base is at the shard to which it moves; it still takes writes where it is
    # Each of these: a shard did what a step of a move asks for, and the row does not say so.
    *("move_sealed", "move_landed", "move_retired", "move_activated", "move_dropped", "move_reopened"),
    # Each of these: the row of a move says so, and the next step was not begun.
    *("move_copying_noted", "move_sealed_noted", "move_landed_noted", "move_retired_noted", "move_switched_noted"),
    *("move_activated_noted", "move_done_noted", "move_aborting_noted", "move_aborted_noted"),
    "erase_forgot",  # a shard has forgotten what turns wrote; nothing is noted
    "erase_scrubbed",  # some turns are erased, and others may be left
    "erase_unfed",  # a shard has forgotten what jobs of turns brought; the jobs are still there
    "erase_stepped",  # a stage of an erasure is over, and the next one was not begun
    "before_settle_seen",  # a turn's end is committed; its session's next turn has not started
)


def _pass(point: str) -> None:
    """Do nothing: no point is armed."""


reach: Callable[[str], None] = _pass


def arm(crash_at: str) -> None:
    """Make this process end with SIGKILL when it reaches a point. crash_at: a point, `point:n` for the n-th time (from
    1), or "" for off. Raises SettingError for a point that does not exist, or an n that is not a number from 1 on.
    """
    global reach
    if not crash_at:
        reach = _pass
        return
    name, _, count = crash_at.partition(":")
    if name not in POINTS or (count and (not count.isdecimal() or int(count) < 1)):
        raise SettingError(f"ARGOSY_CRASH_AT={crash_at!r}: must be one of {', '.join(POINTS)}, then :n or nothing")
    times_left = int(count or 1)

    def count_down(point: str) -> None:
        nonlocal times_left
        if point != name:
            return
        times_left -= 1
        if times_left <= 0:  # not == 0: threads of synchronous steps may count down at the same time
            os.kill(os.getpid(), signal.SIGKILL)

    reach = count_down
