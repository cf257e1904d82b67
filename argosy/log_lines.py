"""How log events are printed: structured, to stderr, and a storm of one kind is thinned."""

import logging
import sys
from typing import Final

import structlog

from argosy import telemetry
from argosy.clock import SystemClock
from argosy.quiet import Quiet

# Events that repeat while Postgres, the log or another process is away are printed once in this time.
_QUIET_S: Final = 5.0
_AWAY: Final = {
    *(telemetry.STORE_UNAVAILABLE, telemetry.STORE_NOT_READY, telemetry.LOG_UNAVAILABLE, telemetry.HEARTBEAT_FAILED),
    *(telemetry.CALL_REFUSED, telemetry.THREAD_ABANDONED, telemetry.THREADS_REFUSED),
}
# At most so many lines of an event in so many seconds: the log lines of a workflow that always fails must not cost more
# than its turns.
_FAILURES_S, _FAILURES_MAX = 1.0, 20
_FAILURES: Final = {
    *(telemetry.STEP_FAILED, telemetry.STEP_RETRIED, telemetry.TURN_FAILED),
    *(telemetry.CLEANUP_FAILED, telemetry.CLEANUP_CUT_OFF, telemetry.WORKFLOW_UNHANDLED, telemetry.WORKFLOW_UNCLOSED),
    *(telemetry.LOOP_LEFT, telemetry.LOOP_UNHANDLED, telemetry.UNRAISABLE),
}
# The libraries whose log lines are printed like Argosy's.
_LIBRARIES: Final = ("asyncio", "grpc", "uvicorn")


def set_up_logging(level: str, log_format: str, *, is_own_process: bool = True) -> None:
    """Print structured events to stderr from now on. level and log_format: the settings LOG_LEVEL and LOG_FORMAT.

    is_own_process: also print the warnings and errors of the libraries that Argosy uses, in the same form. In the
    user's own program they are left to the program.
    """
    renderer: structlog.types.Processor
    if log_format == "json":
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[
            Quiet(_FAILURES, _FAILURES_S, SystemClock(), lines_max=_FAILURES_MAX),
            Quiet(_AWAY, _QUIET_S, SystemClock()),
            *shared,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    if is_own_process:
        formatter = structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(formatter)
        handler.setLevel(max(logging.WARNING, getattr(logging, level.upper())))
        for name in _LIBRARIES:  # not the root logger: user code in a worker may have set it up
            library = logging.getLogger(name)
            library.handlers[:], library.propagate = [handler], False
