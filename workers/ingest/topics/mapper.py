"""Calls a mapping in threads, so that code of the user holds up nothing but its own partition."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import structlog

from argosy import telemetry
from argosy.config import Settings
from argosy.config.topic_sources import TopicSource
from argosy.log import Record
from argosy.workers.ingest.topics.mapped import Line, lines_of
from argosy.workflow.mappings import load_mapping

log = structlog.get_logger()

T = TypeVar("T")

_CALLS_MAX: Final = 4  # of one mapping at once: a partition whose records take long stops few others


class Mapper:
    """The mapping of one topic, which is loaded here. Raises SettingError.

    slow: partitions of which a call takes longer than INGEST_MAPPING_S. A thread cannot be stopped: they wait for its
    end.
    """

    def __init__(self, source: TopicSource, settings: Settings) -> None:
        self._topic = source.topic
        self._mapping = load_mapping(settings, source)
        self._slow_s = settings.ingest_mapping_s
        self._line_size_bytes_max = settings.ingest_line_size_bytes_max
        self._room = asyncio.Semaphore(_CALLS_MAX)
        self.slow: set[int] = set()

    async def lines_of(self, partition: int, records: Sequence[Record]) -> list[Line]:
        """Return the lines of these records."""
        async with self._room:
            call = _in_thread(
                lambda: lines_of(self._mapping, self._topic, partition, records, self._line_size_bytes_max)
            )
            done, _ = await asyncio.wait({call}, timeout=self._slow_s)
            if not done:
                await self._wait(call, partition, records)
            return call.result()

    async def _wait(self, call: "asyncio.Future[list[Line]]", partition: int, records: Sequence[Record]) -> None:
        log.error(
            telemetry.MAPPING_SLOW,
            topic=self._topic,
            partition=partition,
            offset=records[0].position,
            records=len(records),
            bound_s=self._slow_s,
        )
        self.slow.add(partition)
        try:
            await asyncio.wait({call})
        finally:
            self.slow.discard(partition)


def _in_thread(work: Callable[[], T]) -> "asyncio.Future[T]":
    """Return the result of work, which runs in a thread of its own: one that hangs takes the place of no other."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[Any] = loop.create_future()

    def end(result: Any, error: BaseException | None) -> None:
        if ended.done():
            return  # nobody waits any more
        if error is None:
            ended.set_result(result)
        else:
            ended.set_exception(error)

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except Exception as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(end, result, failure)

    threading.Thread(target=run, name="mapping", daemon=True).start()
    return ended
