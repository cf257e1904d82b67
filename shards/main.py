"""The process of `argosy shard`: its start, its signals, and its end."""

import asyncio
import signal
import sys
from typing import Final

import uvloop

from argosy import crash_points
from argosy.clock import SystemClock
from argosy.config import Settings
from argosy.errors import ArgosyError
from argosy.process import garbage
from argosy.process.ending import END_S, code_in_flight, end_within
from argosy.process.parent import watch_parent
from argosy.shards.opened import open_engine, open_shard
from argosy.shards.served import ServedShard

_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


def run(settings: Settings, parent_fd: int | None = None) -> int:
    """Run a shard until SIGTERM or SIGINT (a second one ends it at once), or until the pipe parent_fd closes.

    Returns the exit code. An error that makes the start impossible ends the shard with one line on stderr.
    """
    crash_points.arm(settings.argosy_crash_at)
    try:
        uvloop.run(_serve(settings, parent_fd))
    except ArgosyError as error:
        sys.stderr.write(f"argosy shard: {error}\n")
        return 1
    return 0


async def _serve(settings: Settings, parent_fd: int | None) -> None:
    clock = SystemClock()
    engine = open_engine(settings, is_own_process=True)
    try:
        served = ServedShard(settings, open_shard(settings, engine, clock), engine.member_id, clock)
    except BaseException:
        engine.close()
        raise
    loop = asyncio.get_running_loop()
    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, served.stop)
    if parent_fd is not None:
        watch_parent(parent_fd, lambda: None, 0.0)
    garbage.settle()
    try:
        await served.run()
    finally:  # a thread that is stuck on a disk must not hold up the end
        end_within(END_S, code_in_flight())
