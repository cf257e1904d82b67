"""A turn that will never come: whoever waits for it is told to look, once its record is kept aside for good."""

import asyncio
import uuid
from typing import Any, cast

import pytest

from argosy import ids, record
from argosy.clock import SystemClock
from argosy.config import load
from argosy.errors import FlushRefusedError
from argosy.log import Batch, Record
from argosy.seal.codec import PLAIN
from argosy.store.numbered_stream import Answer
from argosy.workers.dispatch.accept.intake import Intake
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.scheduling.scheduler import Scheduler
from tests.dispatch.claims import claims_of
from tests.dispatch.said import Said
from tests.dispatch.stream.owner import AT


class Store:
    """In place of the stream to Postgres: refuses whatever has a turn in it, when it is told to."""

    refuses_turns = False
    seals = PLAIN

    async def call(self, _: str, *arguments: Any, void: Any = None) -> Answer:
        turn_ids = arguments[8]
        if self.refuses_turns and turn_ids:
            raise FlushRefusedError("a character that it does not have")
        return Answer(77, AT, [True], None, [7] * len(turn_ids), [False] * len(turn_ids))


class Neighbours:
    """In place of the reader."""

    def __getattr__(self, _: str) -> Any:
        return lambda *_: None


def asked(lane: str) -> tuple[uuid.UUID, bytes]:
    session_id = ids.session_id_of("default", lane, "session")
    turn_id = ids.TurnIdMint("default", lane).mint(ids.bucket_of(session_id))
    return turn_id, record.encode(record.TurnRequested(turn_id.bytes, "default", lane, "session", "w", b"{}"))


@pytest.mark.parametrize(
    ("lane", "refuses_turns", "is_told"),
    [("default", False, False), ("another", False, True), ("default", True, True)],
    ids=["accepted", "no turn of this lane", "refused by Postgres"],
)
async def test_who_waits_for_a_turn_that_is_kept_aside_is_told(lane: str, refuses_turns: bool, is_told: bool) -> None:
    said, store, owned = Said(), Store(), Owned(0, 1, (0, 1023))
    store.refuses_turns = refuses_turns
    intake = Intake(
        cast(Any, store),
        cast(Any, Neighbours()),
        Scheduler(8),
        claims_of(owned),
        SystemClock(),
        load({}),
        cast(Any, said),
    )
    turn_id, value = asked(lane)

    owned.read_as(1)
    intake.take(Batch(0, 1, [Record(0, 0, None, value, ()), Record(1, 0, None, b"\x01?", ())], 0, 2, is_fresh=True))
    task = asyncio.create_task(intake.run())
    async with asyncio.timeout(10):
        while owned.position < 2:  # noqa: ASYNC110 — a position, not an event
            await asyncio.sleep(0)
    task.cancel()

    assert [each for accepted in said.of("after_accept") for each in accepted.settled] == ([turn_id] if is_told else [])
