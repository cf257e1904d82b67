"""Hops that most turns do not make (test_journey.py): who needs one makes it."""

import asyncio
import uuid
from itertools import zip_longest
from typing import Any

import pytest

from argosy import Context, emit, step
from argosy.store.head import Head
from argosy.turn.events import Event
from argosy.turn.status import Status
from argosy.workers.dispatch.owned import Resume
from argosy.workers.dispatch.scheduling.reads import Read
from argosy.workers.dispatch.signals import Signal
from argosy.workers.dispatch.stream.connection import GatewayConnection
from argosy.workers.dispatch.turn import Turn
from argosy.workflow import context as workflow_context
from argosy.workflow.definition import step_of
from tests.dispatch.joined_parts import Parts, arguments_of, catalog, loaded, make_turn, until


async def returns(context: Context) -> int:
    return 1


def test_what_one_turn_is_sent_no_other_turn_has() -> None:
    owned: Any = object()
    first, second = make_turn(owned), make_turn(owned)
    sent = Signal(uuid.uuid4(), "go", None)

    first.receive(sent)

    assert (list(first.signals), list(second.signals), list(make_turn(owned).signals)) == ([sent], [], [])


async def test_a_large_history_that_waits_for_room_is_read_when_a_turn_has_left_memory() -> None:
    gate = asyncio.Event()

    async def waits(context: Context) -> None:
        await context.run(gate.wait)

    async with Parts(catalog(waits), loaded_size_bytes_max=2 * 10**6) as parts:
        there, large = (make_turn(parts.owned[0], "boom", place=place) for place in (1, 2))
        large.require_load()
        read: list[uuid.UUID] = []

        async def load_whole(turn_id: uuid.UUID) -> Any:
            read.append(turn_id)
            return loaded(turn_id, large.session_id, workflow="boom")

        parts.heads.load_whole = load_whole  # type: ignore[method-assign]
        parts.heads.turns[large.turn_id] = loaded(
            large.turn_id, large.session_id, workflow="boom", events=None, size_bytes=15 * 10**5
        )
        parts.scheduler.accepted(there, True, Read())
        parts.executor.fill()
        await until(lambda: there.execution is not None)
        there.history_bytes = 10**6
        parts.scheduler.accepted(large, True, Read())
        parts.executor.fill()
        await until(lambda: any(parts.pager.for_room))
        had_room = bool(read)
        gate.set()

        await until(lambda: large.status is Status.COMPLETED)

    assert (had_room, read) == (False, [large.turn_id])


async def test_heads_for_which_there_was_no_room_are_read_when_ready_ones_have_started() -> None:
    """The slots are full, so accepted turns stay ready; the claimed heads wait until they have started."""
    gate = asyncio.Event()

    async def waits(context: Context) -> None:
        await context.run(gate.wait)

    async with Parts(catalog(waits), dispatch_slots=1, ready_sessions_max=10) as parts:
        found = Head(uuid.uuid4(), "a", uuid.uuid4(), "s", 0, 9, "boom", None, "queued", 0, 0, 0, 0, b"null", False)
        reads: list[int] = []

        async def load_heads(*_: Any) -> list[Head]:
            reads.append(parts.scheduler.ready_count)
            return [found]

        parts.heads.load_heads = load_heads
        for place in range(11):
            parts.scheduler.accepted(make_turn(parts.owned[0], "boom", place=place), True, Read())
        parts.executor.fill()
        parts.pager.claimed([parts.owned[0]])
        for _ in range(10):
            await asyncio.sleep(0)
        had_room = bool(reads)
        gate.set()

        await until(lambda: found.turn_id in parts.scheduler.live or reads)
        await until(lambda: parts.admission.running == 0)

    assert (had_room, reads) == (False, [9])


def told(connection: GatewayConnection) -> list[Any]:
    """The types of events that the connection's subscribers were sent."""
    return [item.event.type for item in connection.take() if item.HasField("event")]


async def test_followers_are_told_of_each_flush_once_and_nobody_of_those_before_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One comes while a flush is on its way: its answer is what counts."""
    async with Parts(catalog()) as parts:
        turn = make_turn(parts.owned[0])
        flushed: list[int] = []
        written = parts.hub.written

        def note(*arguments: Any) -> None:
            flushed.append(len(parts.stream.calls))
            written(*arguments)

        monkeypatch.setattr(parts.hub, "written", note)
        turn.write(Event.VALUE_RECORDED, "nobody follows")
        await parts.flusher.durable(turn)
        connection = None

        async def follow() -> None:
            nonlocal connection
            connection = connection or parts.look_on(turn)

        parts.stream.before = follow
        turn.write(Event.STEP_COMPLETED, "on its way")
        await parts.flusher.durable(turn)
        turn.write(Event.STEP_FAILED, "afterwards")
        await parts.flusher.durable(turn)
        assert connection is not None

        assert (flushed, told(connection)) == ([2, 3], [Event.STEP_COMPLETED, Event.STEP_FAILED])


async def test_frames_have_the_lineage_of_a_flush_that_nobody_followed() -> None:
    async def shows(context: Context) -> None:
        emit("answer", text="a")
        await context.run(asyncio.Event().wait)

    async with Parts(catalog(shows)) as parts:
        turn = parts.begin("boom")
        await until(lambda: parts.stream.calls and turn.execution is not None and turn.durable_seq)
        connection = parts.look_on(turn)
        frames: list[Any] = []

        def has_come() -> bool:
            frames.extend(item.frame for item in connection.take() if item.HasField("frame"))
            return bool(frames)

        await until(has_come)

    assert frames[0].lineage == 1


async def test_a_function_is_inspected_when_it_is_first_run_and_never_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inspected: list[Any] = []

    def note(function: Any) -> Any:
        inspected.append(function)
        return step_of(function)

    monkeypatch.setattr(workflow_context, "step_of", note)

    @step
    async def declared() -> int:
        return 1

    async def plain() -> int:
        return 2

    async def calls(context: Context) -> list[int]:
        return [await context.run(each) for each in (declared, plain, plain, declared)]

    async with Parts(catalog(calls)) as parts:
        turn = parts.begin("boom")
        await until(lambda: turn.status is Status.COMPLETED)

    assert (turn.result, inspected) == (b"[1,2,2,1]", [plain])


def make_running(parts: Parts, *, crashes: int, resume: Resume) -> Turn:
    """A turn that ran when its partition was claimed, and that nothing in memory or in its history is left of."""
    turn = make_turn(parts.owned[0], "boom")
    turn.status = turn.written_status = Status.RUNNING
    turn.attempt = turn.written_attempt = 1
    turn.accuse(crashes)
    turn.resume_as(resume)
    parts.heads.turns[turn.turn_id] = loaded(
        turn.turn_id, turn.session_id, workflow="boom", status="running", attempt=1, crashes=crashes
    )
    return turn


def trials_of(parts: Parts, turn: Turn) -> list[bytes | None]:
    """What each flush wrote of the turn's trial. An array without any element is one of NULLs (columns.py)."""
    calls = [arguments_of(call) for call in parts.stream.calls]
    rows = [dict(zip_longest(call["u_turn"], call["u_trial"])) for call in calls]
    return [row[turn.turn_id] for row in rows if turn.turn_id in row]


async def test_a_turn_that_was_in_crashes_waits_without_a_slot_is_tried_and_ends() -> None:
    async with Parts(catalog(returns), dispatch_slots=1) as parts:
        accused, other = make_running(parts, crashes=2, resume=Resume.CRASHED), make_turn(parts.owned[0], "boom")
        parts.scheduler.found(accused)
        parts.executor.fill()
        running, has_begun = parts.admission.running, accused.execution is not None
        parts.scheduler.accepted(other, True, Read())
        parts.executor.fill()
        await until(lambda: other.status is Status.COMPLETED)
        had_ended = accused.has_ended
        await until(lambda: accused.status is Status.COMPLETED and parts.admission.running == 0)

    assert (running, has_begun, had_ended) == (0, False, False)
    assert any(trials_of(parts, accused))
    assert not any(trials_of(parts, other))


async def test_a_turn_that_is_not_accused_any_more_has_no_trial_in_its_row_either() -> None:
    async with Parts(catalog(returns)) as parts:
        turn = make_running(parts, crashes=0, resume=Resume.MOVED)
        turn.put_on_trial(b"[]")
        parts.scheduler.found(turn)
        parts.executor.fill()
        await until(lambda: turn.status is Status.COMPLETED)

    assert trials_of(parts, turn)[0] is None


async def test_who_follows_one_turn_makes_no_hop_for_another_and_who_follows_it_makes_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def shows(context: Context) -> None:
        emit("answer", text="a")
        await context.run(asyncio.Event().wait)

    async with Parts(catalog(shows)) as parts:
        asked: list[Turn] = []
        listener_of = parts.frame_publisher.listener_of

        def note(turn: Turn) -> Any:
            asked.append(turn)
            return listener_of(turn)

        monkeypatch.setattr(parts.frame_publisher, "listener_of", note)
        alone, followed = (make_turn(parts.owned[0], "boom", place=place) for place in (1, 2))
        parts.scheduler.accepted(alone, True, Read())
        parts.executor.fill()
        await until(lambda: alone.execution is not None and alone.execution.has_begun)
        asked_before = list(asked)
        connection = parts.look_on(followed)
        parts.scheduler.accepted(followed, True, Read())
        parts.executor.fill()
        frames: list[Any] = []

        def has_come() -> bool:
            frames.extend(item.frame for item in connection.take() if item.HasField("frame"))
            return bool(frames)

        await until(has_come)

    assert asked_before == []
    assert set(asked) == {followed}
    assert uuid.UUID(bytes=frames[0].turn_id) == followed.turn_id
