"""What worker processes of every kind begin with: a look at the database, and how they are told to end."""

import asyncio
import signal
from typing import Final

import structlog

from argosy import telemetry
from argosy.errors import SettingError
from argosy.process.parent import watch_parent
from argosy.store import migrate, preflight

log = structlog.get_logger()

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


async def check_database(dsn: str) -> None:
    """Return when the database can be trusted and has all migrations; log what a crash could cost.

    Raises SettingError, StoreUnavailableError.
    """
    for warning in await preflight.check(dsn):
        log.warning(telemetry.STORE_WARNING, warning=warning)
    if missing := await migrate.pending(dsn):
        raise SettingError(f"the database lacks migration {missing[0]}: run `argosy migrate`")


def stopping_event(parent_fd: int | None) -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set on this loop. When the pipe parent_fd closes, the process ends at
    once: its Postgres may be gone, too.
    """
    if parent_fd is not None:
        watch_parent(parent_fd, lambda: None, 0.0)
    stopping = asyncio.Event()
    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    return stopping
