"""What there was no room for is told when there is, in whatever order credit and room on the connection come."""

from collections.abc import Iterator

import pytest

from argosy.turn.events import Event
from argosy.workers.dispatch.stream.connection import GatewayConnection
from argosy.workers.dispatch.stream.hub import SubscribeRequest
from argosy.workers.dispatch.turn import Turn
from tests.dispatch.stream.owner import Owner

QUEUE_SIZE_BYTES = 1_000


class Room:
    """One connection, and a subscription on it for each turn, by the turn's place in `turns`."""

    def __init__(self, *credits_bytes: int) -> None:
        self.owner = Owner()
        self.connection = GatewayConnection(QUEUE_SIZE_BYTES)
        self.turns: list[Turn] = []
        for number, credit_bytes in enumerate(credits_bytes):
            turn = self.owner.turn(f"session {number}")
            self.turns.append(turn)
            request = SubscribeRequest(
                number, turn.turn_id, False, turn.tenant, 0, (0, 0), False, False, QUEUE_SIZE_BYTES
            )
            self.owner.hub.subscribe(self.connection, request)
            self.connection.subscribers[number].credit_bytes = credit_bytes
        self.connection.take()

    def give(self, number: int) -> None:
        self.owner.hub.give_credit(self.connection.subscribers[number], 1 << 20)

    def fill(self, number: int) -> None:
        self.owner.write(self.turns[number], data=b'"%b"' % (b"x" * QUEUE_SIZE_BYTES))

    def received(self) -> Iterator[tuple[int, str]]:
        """Takes what comes until nothing does, as a gateway that reads on."""
        while True:
            was_full = self.connection.is_full
            items = self.connection.take()
            if was_full and not self.connection.is_full:
                self.owner.hub.drained(self.connection)
            self.owner.frame_publisher.publish_all()
            if not items:
                return
            for item in items:
                yield item.subscription, item.WhichOneof("what")


async def test_credit_that_comes_while_the_line_is_full_is_remembered() -> None:
    room = Room(0, 1 << 20)
    room.owner.write(room.turns[0], Event.TURN_COMPLETED)
    room.fill(1)

    room.give(0)

    assert list(room.received()) == [(1, "event"), (0, "look")]


async def test_a_frame_that_waited_for_credit_and_then_for_the_line_is_sent() -> None:
    room = Room(0, 1 << 20)
    room.owner.emit(room.turns[0], "text")
    room.owner.frame_publisher.publish_all()
    room.fill(1)

    room.give(0)

    assert list(room.received()) == [(1, "event"), (0, "frame")]


@pytest.mark.parametrize("is_owed", [True, False], ids=["looks", "frames"])
async def test_who_finds_the_line_filled_again_by_others_waits_on(is_owed: bool) -> None:
    count = 100
    room = Room(*[1 << 20] * count)
    room.fill(0)
    for turn in room.turns:
        if is_owed:
            room.owner.write(turn)
        else:
            room.owner.emit(turn, "y" * 100)

    received = list(room.received())

    told = {number for number, kind in received if kind == ("look" if is_owed else "frame")}
    assert told == set(range(count))
