"""The order of what follows from a flush, over the worker's own parts."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from argosy.store.numbered_stream import Answer
from argosy.turn.events import Event
from argosy.turn.inbox import Fate, RowKind
from argosy.turn.status import Status
from argosy.workers.dispatch.flush.flush_queue import LooseMove, Placement
from argosy.workers.dispatch.writes import InboxWrite
from tests.dispatch.joined_parts import Parts, catalog, make_turn, until

FOLLOWS = ["written", "a pass", "expect", "moved", "placed", "look", "written by executor"]


def note(heard: list[str], part: Any, method: str, name: str = "", *, error: Exception | None = None) -> None:
    """Note each call of a part's method, and let it fail or do what it does."""
    does: Callable[..., Any] = getattr(part, method)

    def noted(*arguments: Any) -> Any:
        heard.append(name or method)
        if error is not None:
            raise error
        return does(*arguments)

    setattr(part, method, noted)


def listen(heard: list[str], parts: Parts, **errors: Exception) -> None:
    parts.look_on(make_turn(parts.owned[0]))  # somebody follows
    note(heard, parts.hub, "written", error=errors.get("written"))
    note(heard, parts.hub, "look", error=errors.get("look"))
    note(heard, parts.scheduler, "more", "placed", error=errors.get("placed"))
    for method in ("expect", "moved"):
        note(heard, parts.inbox, method, error=errors.get(method))
    note(heard, parts.executor, "written", "written by executor", error=errors.get("executor"))


def write_all(parts: Parts, heard: list[str]) -> None:
    """Have one flush write a turn with an event and a timer, a move and a placement; a task awaits it."""
    owned = parts.owned[0]
    turn = make_turn(owned)
    turn.write(Event.STEP_COMPLETED, "step")
    timer_id = uuid.uuid4()
    turn.inbox[timer_id] = InboxWrite(timer_id, RowKind.TIMER, "sleep", "sleep", None, 1.0)

    async def awaits() -> None:
        await parts.flusher.durable(turn)
        heard.append("a pass")

    parts.background.spawn(awaits())
    parts.flusher.move(LooseMove(owned, uuid.uuid4(), Fate.LATE))
    parts.flusher.place(Placement(owned, uuid.uuid4(), uuid.uuid4(), 0))


async def test_who_awaited_a_flush_goes_on_before_what_it_sets_going_and_followers_hear_first() -> None:
    heard: list[str] = []
    async with Parts(catalog()) as parts:
        listen(heard, parts)

        write_all(parts, heard)
        await until(lambda: "written by executor" in heard)

    assert heard == FOLLOWS


@pytest.mark.parametrize("failing", ["written", "expect", "moved", "placed", "look", "executor"])
async def test_a_consequence_that_fails_keeps_none_behind_it(failing: str) -> None:
    heard: list[str] = []
    async with Parts(catalog()) as parts:
        listen(heard, parts, **{failing: KeyError("nobody thought of it")})

        write_all(parts, heard)
        await until(lambda: "written by executor" in heard)
        is_placed = "look" in heard

    assert [each for each in heard if each != "look"] == [each for each in FOLLOWS if each != "look"]
    assert is_placed is (failing != "placed"), "nobody is told of a turn that has no place in memory"


async def test_what_a_refusal_sets_going_comes_before_what_was_written_is_told() -> None:
    heard: list[str] = []
    async with Parts(catalog()) as parts:
        parts.look_on(make_turn(parts.owned[0]))
        note(heard, parts.executor, "dropped")
        note(heard, parts.hub, "written")
        refused, written = (make_turn(parts.owned[0], place=place) for place in (1, 2))
        parts.stream.apply = lambda arguments: [each == written.turn_id for each in arguments[4]]
        for turn in (refused, written):
            turn.write(Event.STEP_COMPLETED, "step")
        gone = parts.flusher.durable(refused)

        await parts.flusher.durable(written)

    assert heard[:2] == ["dropped", "written"]
    assert gone.exception() is not None
    assert (refused.is_refused, written.is_refused) == (True, False)


async def test_a_lost_partition_is_given_up_and_nothing_of_it_is_read_again() -> None:
    heard: list[str] = []
    async with Parts(catalog()) as parts:
        owned, turn = parts.owned[0], make_turn(parts.owned[0])
        note(heard, parts.executor, "dropped")
        answers = parts.stream.call

        async def refuse_the_fence(*arguments: Any, void: Any = None) -> Answer:
            answer = await answers(*arguments, void=void)
            return answer._replace(held=[False], applied=[False])

        parts.stream.call = refuse_the_fence
        parts.scheduler.live[turn.turn_id] = turn
        turn.status = Status.RUNNING
        durable = parts.flusher.durable(turn)
        await asyncio.wait([durable])

        assert durable.exception() is not None
        assert owned.is_void
        assert not parts.owned
        assert heard == [], "what it has in Postgres is for the next owner to read"
