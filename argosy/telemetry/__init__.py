"""Every metric and the name of every log event: one table, with a file for each room of the house.

No metric has a session or a turn as a label (room.py says what bounds each label). Hot code binds labels once, never
per turn. docs/metrics.md shows the table: argosy/metrics_table.py.
"""

import structlog
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from argosy.telemetry.dispatch import *  # noqa: F403
from argosy.telemetry.gateway import *  # noqa: F403
from argosy.telemetry.graphs import *  # noqa: F403
from argosy.telemetry.ingest import *  # noqa: F403
from argosy.telemetry.log_events import *  # noqa: F403
from argosy.telemetry.maintenance import *  # noqa: F403
from argosy.telemetry.process import *  # noqa: F403
from argosy.telemetry.shard import *  # noqa: F403


def exposition() -> tuple[bytes, str]:
    """Return the metrics of this process as Prometheus reads them: the body of /metrics and its content type."""
    return generate_latest(), CONTENT_TYPE_PLAIN_0_0_4


def logger() -> structlog.stdlib.BoundLogger:
    """Return the logger for log events."""
    log: structlog.stdlib.BoundLogger = structlog.get_logger()
    return log
