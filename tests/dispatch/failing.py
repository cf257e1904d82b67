"""Each kind of error, thrown at a loop of a worker, and what is said of it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec
import pytest
import structlog

from argosy import Context, telemetry
from argosy.errors import FlushRefusedError, StoreSlowError, StoreUnavailableError
from tests.harness.hand_clock import AheadClock

KINDS = (
    asyncpg.DataError("bad"),
    asyncpg.ProgramLimitExceededError("too many"),
    asyncpg.OutOfMemoryError("out of memory"),
    asyncpg.InternalServerError("invalid memory alloc request size"),
    asyncpg.DeadlockDetectedError("deadlock"),
    asyncpg.SerializationError("serialization"),
    asyncpg.QueryCanceledError("timeout"),
    asyncpg.ConnectionDoesNotExistError("lost"),
    asyncpg.InterfaceError("closed"),
    asyncpg.PostgresError("unknown"),
    StoreUnavailableError("away"),
    StoreSlowError("slow"),
    FlushRefusedError("refused"),
    MemoryError(),
    RecursionError(),
    KeyError("a bug"),
    UnicodeDecodeError("utf-8", b"", 0, 1, "no"),
    msgspec.DecodeError("no"),
)
EACH_KIND = pytest.mark.parametrize("error", KINDS, ids=lambda error: type(error).__name__)


@pytest.fixture(autouse=True)
def said() -> Iterator[list[MutableMapping[str, Any]]]:
    """Whatever failed is said, in a log event that names the loop or the turn."""
    with structlog.testing.capture_logs() as events:
        yield events
    names = {event["event"] for event in events}
    assert names & {
        telemetry.LOOP_ERROR,
        telemetry.STORE_UNAVAILABLE,
        telemetry.FLUSH_SPLIT,
        telemetry.RECORD_KEPT_ASIDE,
    }


class Fails:
    """Raises the error the first times that it is asked, and answers then."""

    def __init__(self, error: Exception, answer: Any = None, times: int = 3) -> None:
        self.error, self.answer, self.times, self.calls = error, answer, times, 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        if self.calls <= self.times:
            raise self.error
        return self.answer(*args, **kwargs) if callable(self.answer) else self.answer

    async def asynchronously(self, *args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(0)
        return self(*args, **kwargs)


class Soon(AheadClock):
    """No pause after an error lasts."""

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s / 100)


@asynccontextmanager
async def running(*loops: Coroutine[Any, Any, None]) -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        yield tasks
        assert not any(task.done() for task in tasks), [task for task in tasks if task.done()]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def returns(context: Context) -> int:
    return 1


class Reader:
    """The log's reader, as far as an intake needs it. read: called soon after a `start`."""

    def __init__(self, read: Callable[[], None]) -> None:
        self.read = read

    def start(self, partition: int, position: int, reading_no: int) -> None:
        asyncio.get_running_loop().call_soon(self.read)

    def accepted(self, partition: int, position: int) -> None:
        pass

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass
