"""Stops a process at a crash point (SIGSTOP), once: for processes that run no code of tests.

Python imports this at its start when this folder is on its path. INGEST_STOP_AT: the point.
"""

import os
import signal

if os.environ.get("INGEST_STOP_AT"):
    from argosy import crash_points

    go_on = crash_points.reach

    def _stop(point: str) -> None:
        if point == os.environ["INGEST_STOP_AT"]:
            crash_points.reach = go_on
            os.kill(os.getpid(), signal.SIGSTOP)

    crash_points.reach = _stop
    crash_points.arm = lambda crash_at: None
