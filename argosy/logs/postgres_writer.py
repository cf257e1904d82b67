"""Appends to the Postgres log by group commit: appends that come while one call is under way go with the next call.

What becomes of an append, and why it is certain:
- not sent (no connection, too many waiting, its time was up before its turn)         → NOT_APPENDED
- Postgres answered with an ERROR: the statement was its own transaction, rolled back → NOT_APPENDED
- Postgres answered with positions                                                    → APPENDED
- anything else once it was sent (connection cut, time-out, FATAL during a commit)    → UNKNOWN
"""

import asyncio
import os
from collections import deque
from collections.abc import Sequence
from typing import Final

import asyncpg
import msgspec
import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.config import Settings
from argosy.errors import LogUnavailableError, SettingError
from argosy.log import Appended, Entry, Identity, Outcome
from argosy.logs.postgres_connection import PostgresConnection
from argosy.logs.topic import Topic
from argosy.rounds import Rounds
from argosy.store import log as log_store
from argosy.store.pool import is_read_only, unavailable

log = structlog.get_logger()

# Of one call: what comes meanwhile waits for its end, so a call does not grow with the queue.
_RECORDS_MAX: Final = 2_000
_SIZE_BYTES_MAX: Final = 8_388_608  # its first request may be larger
_RECONNECT_S: Final = 0.2  # between two tries; every append meanwhile is refused at once

_encode_headers = msgspec.msgpack.Encoder().encode


class _Request:
    """The records of one call of `append`."""

    __slots__ = ("done", "entries", "is_sent", "results", "since_s", "size_bytes")

    def __init__(self, entries: Sequence[Entry], since_s: float) -> None:
        self.entries = entries
        self.since_s = since_s
        self.size_bytes = sum(len(entry.value) + len(entry.key) for entry in entries)
        self.is_sent = False
        self.results: list[Appended] = []
        self.done = asyncio.Event()

    def finish(self, results: list[Appended]) -> None:
        self.results = results
        self.done.set()

    def refuse(self, outcome: Outcome, reason: str) -> None:
        self.finish([Appended(outcome, reason=reason)] * len(self.entries))


class PostgresWriter:
    """LogWriter (argosy/log.py) for a topic of the Postgres log. Made by `open`."""

    def __init__(self, settings: Settings, dsn: str, topic: Topic, clock: Clock) -> None:
        self._topic = topic
        self._timeout_s = settings.log_append_timeout_s
        # Half of the time for waiting, half for the call: nothing is written later than the whole after `append` began.
        self._call_timeout_s = settings.log_append_timeout_s / 2
        self._queue_max = settings.log_queue_max
        self._queue_size_bytes_max = settings.log_queue_size_bytes_max
        self._clock = clock
        self._pid = os.getpid()
        self._connection = PostgresConnection(dsn, "argosy log writer", settings.state_db_timeout_s)
        self._asking = PostgresConnection(dsn, "argosy log watch", settings.state_db_timeout_s)
        self._identity = Identity("", "", 0)
        self._waiting: deque[_Request] = deque()
        self._in_flight: dict[_Request, None] = {}
        self._records_queued = 0
        self._bytes_queued = 0
        self._work = asyncio.Event()
        self._is_closing = False
        self._down_reason = ""
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, settings: Settings, dsn: str, topic: Topic, clock: Clock) -> "PostgresWriter":
        """Open a writer. Raises LogUnavailableError, or SettingError when the topic does not exist."""
        writer = cls(settings, dsn, topic, clock)
        writer._identity = await writer.look()
        await writer._connection.open()
        writer._task = asyncio.create_task(writer._run(), name="postgres-log-writer")
        return writer

    @property
    def partition_count(self) -> int:
        return self._identity.partition_count

    @property
    def identity(self) -> Identity:
        return self._identity

    async def look(self) -> Identity:
        found = await self._asking.call(log_store.get_identity, self._topic.name)
        if found is None:
            self._asking.terminate()
            raise SettingError(self._topic.absence)
        return Identity(str(found[0]), str(found[1]), found[2])

    async def append(self, entries: Sequence[Entry]) -> list[Appended]:
        if os.getpid() != self._pid:
            raise RuntimeError("this log writer was opened before a fork: open one in each process")
        if not entries:
            return []
        request = _Request(entries, self._clock.monotonic_s())
        if refusal := self._refusal(request):
            return [Appended(Outcome.NOT_APPENDED, reason=refusal)] * len(entries)
        self._waiting.append(request)
        self._in_flight[request] = None
        self._records_queued += len(entries)
        self._bytes_queued += request.size_bytes
        self._work.set()
        try:
            async with asyncio.timeout(self._timeout_s):
                await request.done.wait()
        except TimeoutError:
            if request.is_sent:
                request.refuse(Outcome.UNKNOWN, f"no answer within {self._timeout_s:g} s")
            else:
                request.refuse(Outcome.NOT_APPENDED, f"not sent within {self._timeout_s:g} s")
        finally:
            del self._in_flight[request]
            self._records_queued -= len(entries)
            self._bytes_queued -= request.size_bytes
            if not request.is_sent and not request.done.is_set():  # `append` was cancelled
                request.done.set()
        return request.results

    async def backlog_age_s(self) -> float:
        oldest = next(iter(self._in_flight), None)
        return 0.0 if oldest is None else self._clock.monotonic_s() - oldest.since_s

    async def close(self) -> None:
        self._is_closing = True
        try:
            async with asyncio.timeout(self._timeout_s):
                while self._in_flight:
                    await next(iter(self._in_flight)).done.wait()
                    await asyncio.sleep(0)
        except TimeoutError:
            pass
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._connection.terminate()
        self._asking.terminate()

    def _refusal(self, request: _Request) -> str:
        """Return why a request is not even queued; empty when it is."""
        if self._is_closing:
            return "the log is closed"
        if self._down_reason:
            return self._down_reason
        too_many = self._records_queued + len(request.entries) > self._queue_max
        too_large = self._bytes_queued + request.size_bytes > self._queue_size_bytes_max
        if self._in_flight and (too_many or too_large):
            return "too many appends are in flight"
        if not all(0 <= entry.partition < self.partition_count for entry in request.entries):
            return f"the topic {self._topic.name} has {self.partition_count} partitions"
        return ""

    async def _run(self) -> None:
        rounds = Rounds("postgres log writer", self._clock)
        while True:
            await self._work.wait()
            async with rounds:
                await self._run_once()

    async def _run_once(self) -> None:
        try:
            connection = await self._connection.open()
        except Exception as error:
            if not isinstance(error, LogUnavailableError):
                log.exception(telemetry.TASK_FAILED, task="postgres log writer", error=str(error))
            await self._be_down(str(error) or type(error).__name__)
            return
        self._down_reason = ""
        if requests := self._gather():
            await self._send(connection, requests)
        else:
            self._work.clear()

    async def _be_down(self, reason: str) -> None:
        """Refuse at once what waits, and what comes until the next try: there is no connection to send it."""
        if not self._down_reason:
            log.warning(telemetry.LOG_UNAVAILABLE, reason=reason)
        self._down_reason = reason
        while self._waiting:
            request = self._waiting.popleft()
            if not request.done.is_set():
                request.refuse(Outcome.NOT_APPENDED, reason)
        await self._clock.sleep(_RECONNECT_S)

    def _gather(self) -> list[_Request]:
        requests: list[_Request] = []
        records = size_bytes = 0
        too_old_s = self._clock.monotonic_s() - self._call_timeout_s
        while self._waiting:
            request = self._waiting[0]
            if requests and (
                records + len(request.entries) > _RECORDS_MAX or size_bytes + request.size_bytes > _SIZE_BYTES_MAX
            ):
                break
            self._waiting.popleft()
            if request.since_s < too_old_s:
                request.refuse(Outcome.NOT_APPENDED, "the log is too slow: not sent in time")
            elif not request.done.is_set():
                requests.append(request)
                records += len(request.entries)
                size_bytes += request.size_bytes
        return requests

    async def _send(self, connection: asyncpg.Connection, requests: list[_Request]) -> None:
        entries = [entry for request in requests for entry in request.entries]
        for request in requests:
            request.is_sent = True
        try:
            partitions, keys, values, headers = zip(*entries, strict=True)
            encoded = [_encode_headers(each) if each else None for each in headers]
            positions = await log_store.append(
                connection, self._topic.name, partitions, keys, values, encoded, self._call_timeout_s
            )
        except Exception as error:  # of any kind: the next appends must not suffer from it
            self._failed(requests, error)
            return
        at = 0
        for request in requests:
            count = len(request.entries)
            request.finish([_appended(position) for position in positions[at : at + count]])
            at += count

    def _failed(self, requests: list[_Request], error: Exception) -> None:
        """Refuse the requests of a call that failed.

        An ERROR comes from the server, which has rolled the transaction back. A FATAL one may follow a commit; every
        other error is the client's.
        """
        is_rolled_back = getattr(error, "severity_en", None) == "ERROR"
        outcome = Outcome.NOT_APPENDED if is_rolled_back else Outcome.UNKNOWN
        reason = str(unavailable(error)) if is_read_only(error) else f"{type(error).__name__}: {error}"
        log.warning(telemetry.LOG_UNAVAILABLE, reason=reason, outcome=outcome.value)
        for request in requests:
            if not request.done.is_set():
                request.refuse(outcome, reason)
        if not is_rolled_back or is_read_only(error):  # a session that began read-only stays read-only
            self._connection.terminate()


def _appended(position: int | None) -> Appended:
    if position is None:
        return Appended(Outcome.NOT_APPENDED, reason="the topic has no such partition any more")
    return Appended(Outcome.APPENDED, position)
