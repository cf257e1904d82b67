"""Membership in the Postgres log: which member is eligible for which partitions.

A member holds a session-level advisory lock on a connection of its own, which Postgres frees within milliseconds of a
kill -9. Every ROUND_S (or a quarter of a lease, if that is shorter) it runs a round: it says that it lives, gives up
the partitions that are not its own any more, and takes those that are. See log_round in argosy/store/functions/log.sql.
"""

import asyncio
import uuid
from typing import Final, Protocol

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.errors import LogUnavailableError
from argosy.logs.postgres_connection import LossListener, PostgresConnection
from argosy.store import log as log_store

log = structlog.get_logger()

ROUND_S: Final = 1.0  # how late members give up what belongs to one that came
_ROUNDS_PER_TTL: Final = 4  # three may fail in a row before the lease ends
_UNSETTLED_S: Final = 0.2  # the next round, while other members still hold partitions of this one
_LEAVE_TIMEOUT_S: Final = 2.0  # without an answer the end of the connection says the same


class MemberListener(LossListener, Protocol):
    """Who hears for which partitions a member is eligible, and when its lock is gone."""

    def round_ran(self, topic_id: uuid.UUID | None, partitions: frozenset[int], asked_at_s: float) -> None:
        """Take what a round found. topic_id is None when the topic does not exist, when the member has left, or when
        Postgres could not be reached for so long that other members have taken its place. asked_at_s: the answer was
        true at this moment or later (monotonic).
        """


class PostgresMember:
    """Call `run` until cancelled, then `leave`. listener: told of each round."""

    def __init__(
        self,
        connection: PostgresConnection,
        topic: str,
        ttl_s: float,
        clock: Clock,
        listener: MemberListener,
    ) -> None:
        self._connection = connection
        self._topic = topic
        self._ttl_s = ttl_s
        self._round_s = min(ROUND_S, ttl_s / _ROUNDS_PER_TTL)
        self._clock = clock
        self._listener = listener
        self._member_id = uuid.uuid4()
        self._seen_at_s = clock.monotonic_s()
        self._is_away = False

    async def pause(self) -> None:
        """Leave the group until `resume` is called."""
        self._is_away = True
        self._listener.round_ran(None, frozenset(), self._clock.monotonic_s())
        await self._say_that_we_leave()

    def resume(self) -> None:
        self._is_away = False

    async def run(self) -> None:
        while True:
            if self._is_away:
                await self._clock.sleep(_UNSETTLED_S)
                continue
            try:
                delay_s = await self._round()
            except Exception as error:
                log.exception(telemetry.TASK_FAILED, task="postgres log member", error=str(error))
                delay_s = self._round_s
            await self._clock.sleep(delay_s)

    async def leave(self) -> None:
        """Leave the group and close the connection.

        Other members take the partitions in their next round, without waiting for the end of the lease.
        """
        await self._say_that_we_leave()
        self._connection.terminate()

    async def _say_that_we_leave(self) -> None:
        try:
            async with asyncio.timeout(_LEAVE_TIMEOUT_S):
                await self._connection.call(log_store.run_round, self._topic, self._member_id, 0.0)
        except (TimeoutError, LogUnavailableError):
            pass  # the end of the connection frees the member's lock, too

    async def _round(self) -> float:
        """Run one round; returns in how many seconds the next is due."""
        asked_at_s = self._clock.monotonic_s()
        try:
            found = await self._connection.call(log_store.run_round, self._topic, self._member_id, self._ttl_s)
        except LogUnavailableError as error:
            log.warning(telemetry.LOG_UNAVAILABLE, reason=str(error))
            # After this time members that reach Postgres may have this one's place. Reading on until then does no harm.
            if self._clock.monotonic_s() - self._seen_at_s > self._ttl_s:
                self._listener.round_ran(None, frozenset(), asked_at_s)
            return _UNSETTLED_S
        self._seen_at_s = asked_at_s
        if self._is_away:
            return self._round_s
        self._listener.round_ran(found.topic_id, frozenset(found.held or ()), asked_at_s)
        return self._round_s if found.is_settled else _UNSETTLED_S
