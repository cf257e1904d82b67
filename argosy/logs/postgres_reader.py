"""Reads the Postgres log: one query for all partitions that are being read, repeated at once while there is data."""

import asyncio
import itertools
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.config import Settings
from argosy.errors import LogUnavailableError, SettingError
from argosy.log import Batch, Identity, Record, Span
from argosy.logs.postgres_connection import PostgresConnection
from argosy.logs.postgres_member import ROUND_S, PostgresMember
from argosy.logs.postgres_member_thread import MemberThread
from argosy.logs.topic import Topic
from argosy.logs.word import Word
from argosy.store import log as log_store

log = structlog.get_logger()

_RETRY_S: Final = 0.2  # Postgres may be back at any moment
_AHEAD_S: Final = 0.25  # before the end of a lease, which is known exactly: leaves time for a claim that is under way

_decode_headers = msgspec.msgpack.Decoder(tuple[tuple[str, bytes], ...]).decode


class _Reading:
    """What one `start` of a partition asked for.

    Each `start` makes a new object, so that records which were fetched for the last one are told apart.
    """

    __slots__ = ("is_fresh", "position", "reading_no")

    def __init__(self, position: int, reading_no: int) -> None:
        self.position = position
        self.reading_no = reading_no
        self.is_fresh = True


class PostgresReader:
    """LogReader (argosy/log.py) for a topic of the Postgres log."""

    def __init__(self, settings: Settings, dsn: str, topic: Topic, clock: Clock) -> None:
        self._topic = topic
        self._batch_max = topic.batch_max
        self._size_bytes_max = topic.batch_size_bytes_max
        self._poll_s = settings.log_poll_s
        self._clock = clock
        self._word = Word(clock, settings.log_lease_ttl_s, ahead_s=_AHEAD_S)
        self._connection = PostgresConnection(dsn, "argosy log reader", settings.state_db_timeout_s)
        self._member = MemberThread(
            lambda listener: PostgresMember(
                PostgresConnection(dsn, "argosy log member", settings.state_db_timeout_s, listener),
                topic.name,
                settings.log_lease_ttl_s,
                clock,
                listener,
            ),
            self,
        )
        self._topic_id: uuid.UUID | None = None
        self._identity: Identity | None = None
        self._held: frozenset[int] = frozenset()
        self._readings: dict[int, _Reading] = {}
        self._is_paused = False
        self._turn = itertools.count()
        self._work = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._on_batch: Callable[[Batch], None] = lambda batch: None
        self._on_eligible: Callable[[frozenset[int]], None] = lambda partitions: None

    async def open(self, on_batch: Callable[[Batch], None], on_eligible: Callable[[frozenset[int]], None]) -> Identity:
        identity = await self.identity()
        self._topic_id = uuid.UUID(identity.topic_id)
        self._on_batch, self._on_eligible = on_batch, on_eligible
        await self._member.start()
        self._tasks = [
            asyncio.create_task(self._fetch_forever(), name="postgres-log-reader"),
        ]
        return identity

    async def identity(self) -> Identity:
        # Each round of the member tells the topic's id: while the last one is recent, there is no need to ask.
        is_fresh = self._word.has_come and self._word.silent_s < 2 * ROUND_S
        if self._identity is not None and is_fresh and self._identity.topic_id == str(self._topic_id):
            return self._identity
        found = await self._connection.call(log_store.get_identity, self._topic.name)
        if found is None:
            raise SettingError(self._topic.absence)
        cluster_id, topic_id, partition_count = found
        self._identity = Identity(str(cluster_id), str(topic_id), partition_count)
        return self._identity

    async def spans(self, partitions: Sequence[int]) -> dict[int, Span]:
        found = await self._connection.call(log_store.list_spans, self._topic.name, list(partitions))
        if missing := set(partitions) - found.keys():
            raise LogUnavailableError(f"the topic {self._topic.name} has no partitions {sorted(missing)} any more")
        return {partition: Span(*span) for partition, span in found.items()}

    async def has_joined(self) -> bool:
        return self._word.has_come

    def start(self, partition: int, position: int, reading_no: int) -> None:
        self._readings[partition] = _Reading(position, reading_no)
        self._work.set()

    def stop(self, partition: int) -> None:
        self._readings.pop(partition, None)

    def pause(self) -> None:
        self._is_paused = True

    def resume(self) -> None:
        self._is_paused = False
        self._work.set()

    def wake(self) -> None:
        self._work.set()

    def accepted(self, partition: int, position: int) -> None:
        """Do nothing: lag tools read Postgres itself."""

    def session_timeout_s(self) -> float | None:
        return self._word.session_timeout_s

    def is_word_old(self) -> bool:
        return self._word.is_old

    async def leave(self) -> None:
        await self._member.pause()

    async def join(self) -> None:
        self._member.resume()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._tasks:
            await self._member.stop()
        self._connection.terminate()

    def connection_lost(self) -> None:
        """See LossListener: the member's lock is gone."""
        self._word.lost()

    def round_ran(self, topic_id: uuid.UUID | None, partitions: frozenset[int], asked_at_s: float) -> None:
        """See MemberListener.

        A topic that was made again has nothing to do with what was read of the old one: its partitions are gone for one
        round, so that their owner notices.
        """
        was_old = self._word.is_old
        if topic_id is not None:
            self._word.renew(asked_at_s)
        if topic_id is not None and topic_id != self._topic_id:
            self._topic_id = topic_id
            self._readings.clear()
            partitions = frozenset()
        if partitions != self._held or (was_old and not self._word.is_old):
            self._held = partitions
            self._on_eligible(partitions)
            self._work.set()

    async def _fetch_forever(self) -> None:
        while True:
            self._work.clear()
            try:
                if await self._fetch():
                    continue
            except LogUnavailableError as error:
                log.warning(telemetry.LOG_UNAVAILABLE, reason=str(error))
                await self._clock.sleep(_RETRY_S)
                continue
            except Exception as error:
                log.exception(telemetry.TASK_FAILED, task="postgres log reader", error=str(error))
                await self._clock.sleep(_RETRY_S)
                continue
            try:
                async with asyncio.timeout(None if self._is_idle() else self._poll_s):
                    await self._work.wait()
            except TimeoutError:
                pass

    def _is_idle(self) -> bool:
        return self._is_paused or not self._readings.keys() & self._held

    async def _fetch(self) -> bool:
        """Read from all wanted partitions once; False when there was nothing."""
        if self._is_idle() or self._topic_id is None:
            return False
        reading = {partition: each for partition, each in self._readings.items() if partition in self._held}
        # Each fetch begins with another partition: a fetch is bounded, and the first must not starve the others.
        order = sorted(reading)
        first = next(self._turn) % len(order)
        starts = {partition: reading[partition].position for partition in order[first:] + order[:first]}
        rows = await self._connection.call(
            log_store.fetch, self._topic_id, starts, self._batch_max, self._size_bytes_max
        )
        for partition, found in itertools.groupby(rows, lambda row: row.partition):
            # Drop what was fetched for a reading that is over, or while paused: its position did not move, so it is
            # read again.
            if self._readings.get(partition) is reading[partition] and partition in self._held and not self._is_paused:
                self._deliver(partition, reading[partition], list(found))
        return bool(rows)

    def _deliver(self, partition: int, reading: _Reading, found: list[Any]) -> None:
        begin, reading.position = reading.position, found[-1].position + 1
        is_fresh, reading.is_fresh = reading.is_fresh, False
        records = [
            Record(row.position, row.at_ms, row.key, row.value, _decode_headers(row.headers) if row.headers else ())
            for row in found
        ]
        self._on_batch(Batch(partition, reading.reading_no, records, begin, reading.position, is_fresh))
