"""Two streams give out places, accepts and placements of delayed turns: in one session they must not cross."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from argosy.store.numbered_stream import Answer
from tests.store.conftest import OpenHand
from tests.store.hand import Change, Hand, New

WAIT_S = 10.0


def later() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


async def wait_until_it_waits(watching: Hand, pid: int, call: "asyncio.Task[Any]") -> None:
    """Until that backend waits for a lock, or its call is over."""
    async with asyncio.timeout(WAIT_S):
        while not call.done():
            query = "SELECT count(*) FROM pg_locks WHERE pid = $1 AND NOT granted"
            if (await watching.rows(query, pid))[0][0]:
                return
            await asyncio.sleep(0.01)


async def behind(first: Hand, open_stream: int, second: "asyncio.Task[Answer]", watching: Hand, pid: int) -> Answer:
    """The answer of `second`, after what is open on that stream of `first` was committed."""
    await wait_until_it_waits(watching, pid, second)
    await first.connections[open_stream].execute("COMMIT")
    return await asyncio.wait_for(second, WAIT_S)


async def test_a_record_accepted_while_a_delayed_turn_is_placed_stands_behind_it(
    hand: Hand, open_hand: OpenHand
) -> None:
    delayed, record, watching = New(not_before=later()), New(), await open_hand()
    await hand.accept(delayed)
    position = await hand.position(record.partition)
    await hand.connections[2].execute("BEGIN")
    await hand.flush(placements=[delayed])

    accepting = asyncio.create_task(hand.accept(record, at={record.partition: position}))
    answer = await behind(hand, 2, accepting, watching, hand.connections[1].get_server_pid())

    assert answer.heads == [False]
    assert answer.places is not None
    place_of_delayed = (await hand.turn(delayed))["place"]
    assert answer.places[0] is not None
    assert answer.places[0] > place_of_delayed


async def test_a_delayed_turn_placed_while_a_record_is_accepted_stands_behind_it(
    hand: Hand, open_hand: OpenHand
) -> None:
    delayed, record, watching = New(not_before=later()), New(), await open_hand()
    await hand.accept(delayed)
    await hand.connections[1].execute("BEGIN")
    accepted = await hand.accept(record)

    placing = asyncio.create_task(hand.flush(placements=[delayed]))
    await behind(hand, 1, placing, watching, hand.connections[2].get_server_pid())

    assert accepted.heads == [True]
    assert (await hand.turn(delayed))["place"] > (await hand.turn(record))["place"]


@pytest.mark.parametrize("is_accept_first", [True, False], ids=["accept first", "placement first"])
async def test_of_two_turns_that_do_not_want_to_wait_one_is_rejected(
    hand: Hand, open_hand: OpenHand, is_accept_first: bool
) -> None:
    delayed, record = New(not_before=later(), on_busy="reject"), New(on_busy="reject")
    watching = await open_hand()
    await hand.accept(delayed)
    at = {record.partition: await hand.position(record.partition)}
    first, second = (1, 2) if is_accept_first else (2, 1)
    await hand.connections[first].execute("BEGIN")
    calls = {1: lambda: hand.accept(record, at=at), 2: lambda: hand.flush(placements=[delayed])}
    await calls[first]()

    waiting = asyncio.create_task(calls[second]())
    await behind(hand, first, waiting, watching, hand.connections[second].get_server_pid())

    assert [await hand.status(record), await hand.status(delayed)] == (
        ["queued", "rejected"] if is_accept_first else ["rejected", "queued"]
    )


async def test_a_key_freed_by_a_rejected_delayed_turn_is_free_for_a_record_that_comes_meanwhile(
    hand: Hand, open_hand: OpenHand
) -> None:
    busy, delayed, again = New(), New(not_before=later(), on_busy="reject", key="k"), New(key="k")
    watching = await open_hand()
    await hand.accept(busy, delayed)
    at = {again.partition: await hand.position(again.partition)}
    await hand.connections[2].execute("BEGIN")
    await hand.flush(placements=[delayed])

    accepting = asyncio.create_task(hand.accept(again, at=at))
    await behind(hand, 2, accepting, watching, hand.connections[1].get_server_pid())

    assert await hand.status(delayed) == "rejected"
    assert await hand.status(again) == "queued"


async def test_an_accept_waits_for_no_flush_that_places_nothing(hand: Hand) -> None:
    turn, record = New(), New()
    await hand.accept(turn)
    at = {record.partition: await hand.position(record.partition)}
    await hand.connections[2].execute("BEGIN")
    await hand.flush(Change(turn, ("queued", 0, 0), "running", events=[("turn.started", "")]))

    answer = await asyncio.wait_for(hand.accept(record, at=at), WAIT_S)

    await hand.connections[2].execute("COMMIT")
    assert answer.heads == [False]
