"""Membership in the Postgres log: who is eligible for which partition.

A member holds a session-level advisory lock on a connection of its own (freed within milliseconds of a kill -9) and
says once in ROUND_S that it lives (a few times in a lease, however short that is); each such round also gives up what
is not its own and takes what is. See log_round in argosy/store/functions/log.sql.
"""

import asyncio
import uuid
from collections.abc import Callable
from typing import Final

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.errors import LogUnavailableError
from argosy.logs.postgres_connection import PostgresConnection
from argosy.store import log as log_store

log = structlog.get_logger()

ROUND_S: Final = 1.0
_ROUNDS_PER_TTL: Final = 4
_UNSETTLED_S: Final = 0.2  # while what is ours is still held by others
_LEAVE_TIMEOUT_S: Final = 2.0


OnRound = Callable[[uuid.UUID | None, frozenset[int], float], None]


class PostgresMember:
    """`run` until cancelled, then `leave`. on_round(topic_id, partitions, asked_at_s) hears what each round found:
    topic_id is None when there is no such topic, or Postgres could not be asked for so long that others have taken our
    place. asked_at_s: it was so at this moment or later.
    """

    def __init__(
        self,
        connection: PostgresConnection,
        topic: str,
        ttl_s: float,
        clock: Clock,
        on_round: OnRound,
    ) -> None:
        self._connection = connection
        self._topic = topic
        self._ttl_s = ttl_s
        self._round_s = min(ROUND_S, ttl_s / _ROUNDS_PER_TTL)
        self._clock = clock
        self._on_round = on_round
        self._member_id = uuid.uuid4()
        self._seen_at_s = clock.monotonic_s()
        self._is_away = False

    async def pause(self) -> None:
        """Leave until `resume`."""
        self._is_away = True
        self._on_round(None, frozenset(), self._clock.monotonic_s())
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
        """So that others need not wait: they take what was ours in their next round."""
        await self._say_that_we_leave()
        self._connection.terminate()

    async def _say_that_we_leave(self) -> None:
        try:
            async with asyncio.timeout(_LEAVE_TIMEOUT_S):
                await self._connection.call(log_store.run_round, self._topic, self._member_id, 0.0)
        except (TimeoutError, LogUnavailableError):
            pass  # the end of the connection says it as well

    async def _round(self) -> float:
        """Returns in how many seconds the next is due."""
        asked_at_s = self._clock.monotonic_s()
        try:
            found = await self._connection.call(log_store.run_round, self._topic, self._member_id, self._ttl_s)
        except LogUnavailableError as error:
            log.warning(telemetry.LOG_UNAVAILABLE, reason=str(error))
            # Whoever can reach Postgres takes our place after this time. To go on reading until then does no harm.
            if self._clock.monotonic_s() - self._seen_at_s > self._ttl_s:
                self._on_round(None, frozenset(), asked_at_s)
            return _UNSETTLED_S
        self._seen_at_s = asked_at_s
        if self._is_away:
            return self._round_s
        self._on_round(found.topic_id, frozenset(found.held or ()), asked_at_s)
        return self._round_s if found.is_settled else _UNSETTLED_S
