"""A turn that will never come: whoever waits for it is told to look, once its record is kept aside for good."""

import uuid
from typing import Any, cast

import pytest

from argosy import ids, record
from argosy.clock import SystemClock
from argosy.errors import FlushRefusedError
from argosy.log import Record
from argosy.store.numbered_stream import Answer
from argosy.workers.dispatch.accept.intake import Intake
from argosy.workers.dispatch.owned import Owned
from tests.dispatch.claims import claims_of
from tests.dispatch.stream.owner import AT


class Store:
    """In place of the stream to Postgres: refuses whatever has a turn in it, when it is told to."""

    refuses_turns = False

    async def call(self, _: str, *arguments: Any, void: Any = None) -> Answer:
        turn_ids = arguments[8]
        if self.refuses_turns and turn_ids:
            raise FlushRefusedError("a character that it does not have")
        return Answer(77, AT, [True], None, [7] * len(turn_ids), [False] * len(turn_ids))


class Neighbours:
    """In place of the reader and the scheduler."""

    ready_count = 0

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
    told: list[uuid.UUID] = []
    store, owned = Store(), Owned(0, 1, (0, 1023))
    store.refuses_turns = refuses_turns
    intake = Intake(
        cast(Any, store),
        cast(Any, Neighbours()),
        cast(Any, Neighbours()),
        SystemClock(),
        lane="default",
        claims=claims_of(owned),
        batch_max=10,
        batch_size_bytes_max=10_000,
        ready_sessions_max=10,
        head_input_size_bytes_max=1000,
        restart=lambda _: None,
        on_entered=lambda _: None,
        on_accepted=lambda: None,
        on_lost=lambda _: None,
        on_answer=lambda _: None,
        on_settled=told.append,
    )
    turn_id, value = asked(lane)

    await intake._accept([(owned, [Record(0, 0, None, value, ()), Record(1, 0, None, b"\x01?", ())])])

    assert told == ([turn_id] if is_told else [])
