"""Waiting for turns to end (`Prefer: wait`, `?wait=`): the owner tells the gateway as soon as the end is durable.

Whether turns have ended already is one question to Postgres for all requests that ask at the same time. A request whose
turn has no owner that answers repeats the question every 50 to 250 ms.
"""

import asyncio
import uuid
from typing import Any, Final

from argosy import ids
from argosy.gateway.stream.connections import WorkerConnections
from argosy.gateway.stream.follower import Follower
from argosy.gateway.stream.subscription import Target
from argosy.gateway.together import Together
from argosy.store.pool import Pool
from argosy.store.turn import EndedTurn, find_ended_turns
from argosy.turn.events import ENDINGS

INTERVAL_S_MIN: Final = 0.05  # a client waits for it
INTERVAL_S_MAX: Final = 0.25  # many who wait share one question (Together)

_Question = tuple[uuid.UUID, str]


class _EndedTurns:
    """Answers which turns have ended, or are parked."""

    def __init__(self, pool: Pool, lane: str) -> None:
        self._pool = pool
        self._lane = lane

    async def answer(self, questions: list[_Question]) -> dict[_Question, EndedTurn]:
        turn_ids, tenants = [each[0] for each in questions], [each[1] for each in questions]
        found = await find_ended_turns(self._pool, turn_ids, tenants, self._lane)
        ended = {each.turn_id: each for each in found}
        return {each: ended[each[0]] for each in questions if each[0] in ended}


class _NoFrames:
    """A client that waits for an ending, and has and gets no frames."""

    def resume(self) -> tuple[int, int]:
        return 0, 0


class Waiting:
    """The requests of this process that wait for a turn to end. Used from one event loop."""

    def __init__(self, pool: Pool, lane: str, connections: WorkerConnections, partition_count: int) -> None:
        self._connections = connections
        self._partition_count = partition_count
        self._ended: Together[_Question, EndedTurn] = Together(_EndedTurns(pool, lane))
        self._followers: set[Follower] = set()
        self._is_draining = False

    async def wait(
        self,
        turn_id: uuid.UUID,
        tenant: str,
        timeout_s: float,
        gone: "asyncio.Future[None]",
        *,
        or_parked: bool = False,
    ) -> uuid.UUID | None:
        """Wait for a turn to end; return its id: turn_id, or the id of the turn of which it is a duplicate.

        None after timeout_s, when this process drains, and once `gone` is done. or_parked: a parked turn ends the wait,
        too.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    ended = await self._wait(turn_id, tenant, gone, or_parked)
                    if ended is None or ended == turn_id:
                        return ended
                    turn_id = ended
        except TimeoutError:
            return None

    def drain(self) -> None:
        """End every wait: each returns None."""
        self._is_draining = True
        for follower in self._followers:
            follower.close()

    async def close(self) -> None:
        await self._ended.close()

    async def _wait(
        self, turn_id: uuid.UUID, tenant: str, gone: "asyncio.Future[None]", or_parked: bool
    ) -> uuid.UUID | None:
        """Return turn_id once it has ended, or the id of the turn of which it is a duplicate; None without either."""
        partition = ids.partition_of(ids.turn_bucket(turn_id), self._partition_count)
        target = Target(tenant, partition, turn_id=turn_id, is_ending_only=True)
        follower = Follower(self._connections, target, _NoFrames())
        interval_s = INTERVAL_S_MIN
        self._followers.add(follower)

        def close(_: object) -> None:
            follower.close()

        gone.add_done_callback(close)
        try:
            follower.open()
            while not self._is_draining and not gone.done():
                has_news = await follower.wait(60.0 if follower.is_live else interval_s)
                must_ask = not has_news
                while (item := follower.take()) is not None:
                    if _is_ending(item, turn_id):
                        return turn_id
                    must_ask = True
                if must_ask:
                    interval_s = min(interval_s * 1.5, INTERVAL_S_MAX)
                    ended = await self._ended.ask((turn_id, tenant))
                    if ended is not None and (or_parked or not ended.is_parked):
                        return ended.duplicate_of or turn_id
            return None
        finally:
            gone.remove_done_callback(close)
            self._followers.discard(follower)
            follower.close()


def _is_ending(item: Any, turn_id: uuid.UUID) -> bool:
    return item.WhichOneof("what") == "event" and item.event.type in ENDINGS and item.event.turn_id == turn_id.bytes
