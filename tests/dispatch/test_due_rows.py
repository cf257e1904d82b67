"""Due rows of the inbox at moments that are hard to bring about with real servers."""

import asyncio
import uuid
from collections.abc import Collection
from typing import Any

import msgspec
import pytest

from argosy import Context
from argosy.store.head import DueRow
from argosy.turn.status import Status
from argosy.workers.dispatch.owned import Resume
from argosy.workers.dispatch.scheduling.found_turn import turn_of
from argosy.workers.dispatch.scheduling.reads import Read
from tests.dispatch.joined_parts import SUSPENDED, Parts, arguments_of, catalog, due_row, loaded, make_turn, until


async def test_a_timer_in_hand_of_a_turn_that_is_parked_is_released() -> None:
    async with Parts(catalog()) as parts:
        turn_id, timer_id = uuid.uuid4(), uuid.uuid4()
        waits = b'[{"key":"sleep","kind":"sleep","timer_id":"%s","due_at_s":1.0}]' % str(timer_id).encode()
        parts.heads.turns[turn_id] = loaded(turn_id, **SUSPENDED | {"workflow": "gone", "waits": waits})
        parts.builds.late = {turn_id}
        parts.heads.due = [due_row(parts.heads.turns[turn_id], timer_id, "timer", "sleep", "sleep")]
        await parts.inbox.look()
        await until(lambda: parts.admission.running == 0 and turn_id not in parts.scheduler.live)
        assert timer_id not in parts.delivery.in_hand, "due in Postgres for ever, and never looked at again"


async def test_rows_in_hand_of_a_refused_turn_are_looked_at_again() -> None:
    async with Parts(catalog()) as parts:
        parts.stream.apply = lambda arguments: [False] * 1
        turn_id, cancel_id = uuid.uuid4(), uuid.uuid4()
        parts.heads.turns[turn_id] = loaded(turn_id, **SUSPENDED | {"workflow": "gone", "status": "parked"})
        parts.heads.due = [due_row(parts.heads.turns[turn_id], cancel_id, "cancel")]
        await parts.inbox.look()
        await until(lambda: parts.stream.calls)
        await until(lambda: cancel_id not in parts.delivery.in_hand)
        assert turn_id not in parts.scheduler.live


async def test_a_signal_that_meets_a_turn_before_its_accept_has_answered_is_read_when_the_turn_runs() -> None:
    async with Parts(catalog()) as parts:
        turn = make_turn(parts.owned[0])
        parts.heads.turns[turn.turn_id] = loaded(turn.turn_id, turn.session_id)
        parts.heads.due = [due_row(parts.heads.turns[turn.turn_id], uuid.uuid4(), "signal", "go", payload=b"1")]

        with parts.scheduler.reads.begin() as read:  # the accept
            await parts.inbox.look()  # Postgres has the turn, memory has not
        parts.scheduler.accepted(turn, True, read)

        assert turn.needs_load


async def test_a_row_of_a_kind_of_a_later_version_stays_due_whatever_its_turn_does() -> None:
    async with Parts(catalog()) as parts:
        waiting = make_turn(parts.owned[0])
        parts.scheduler.accepted(waiting, True, Read())
        absent = loaded(uuid.uuid4(), **waiting_for("signal:go", "signal", uuid.uuid4()))
        parts.heads.turns[absent.turn_id] = absent
        present = loaded(waiting.turn_id, waiting.session_id)
        parts.heads.due = [due_row(each, uuid.uuid4(), "of a later version", "go") for each in (present, absent)]

        await parts.inbox.look()

        assert not parts.delivery.in_hand.known
        assert not list(waiting.signals)
        assert absent.turn_id not in parts.scheduler.live


async def test_a_turn_that_is_woken_gets_signals_in_the_order_in_which_they_were_sent() -> None:
    """The first wakes it, the second meets it before its history is read, the third is read with that."""

    async def waits(context: Context) -> list[Any]:
        return [await context.wait_signal("go") for _ in range(3)]

    async with Parts(catalog(waits, "waits")) as parts:
        signals = [(uuid.uuid4(), "go", b"%d" % number) for number in range(3)]
        suspended = loaded(uuid.uuid4(), **waiting_for("signal:go", "signal", uuid.uuid4(), signals=signals))
        parts.heads.turns[suspended.turn_id] = suspended
        parts.heads.due = [due_row(suspended, row_id, "signal", "go", payload=data) for row_id, _, data in signals[:2]]

        await parts.inbox.look()
        turn = parts.scheduler.live[suspended.turn_id]
        await until(lambda: turn.has_ended)

        assert turn.result == b"[0,1,2]"


async def test_what_was_read_of_a_turn_that_ran_meanwhile_is_not_believed() -> None:
    """It entered memory, ran and left it while the answer was on its way: its row is looked at again."""
    async with Parts(catalog()) as parts:
        turn = make_turn(parts.owned[0])
        signal_id = uuid.uuid4()
        stale = loaded(turn.turn_id, turn.session_id)
        row = due_row(stale, signal_id, "signal", "go", payload=b"1")

        async def due_inbox(_: object, known: Collection[uuid.UUID], *__: object) -> list[DueRow]:
            if row.inbox_id in known:
                return []
            parts.scheduler.accepted(turn, True, Read())
            parts.scheduler.left(turn)  # suspended, and its flush is durable
            return [row]

        parts.heads.due_inbox = due_inbox
        await parts.inbox.look()

        assert signal_id not in parts.delivery.in_hand
        assert parts.inbox._work.is_set()


async def test_what_a_step_came_to_elsewhere_meets_a_turn_that_waits_for_its_history_and_is_not_done_again() -> None:
    ran = []

    async def once(context: Context) -> int:
        async def effect() -> int:
            ran.append(1)
            return 2

        return await context.run(effect)

    async with Parts(catalog(once, "once")) as parts:
        turn = make_turn(parts.owned[0], "once")
        turn.status = turn.written_status = Status.RUNNING
        turn.attempt = turn.written_attempt = turn.seq = turn.written_seq = 1
        turn.version, turn.needs_load, turn.resume = "1", True, Resume.MOVED
        started = (1, 1, "turn.started", "", b"{}")
        known: dict[str, Any] = {
            "workflow": "once",
            "version": "1",
            "status": "running",
            "attempt": 1,
            "seq": 1,
            "events": [started],
        }
        parts.heads.turns[turn.turn_id] = loaded(turn.turn_id, turn.session_id, **known)  # read before it came
        parts.scheduler.found(turn)
        result_id = uuid.uuid4()
        told = ("step_result", "step.completed", "effect", b'{"result":1}')
        parts.heads.due = [due_row(parts.heads.turns[turn.turn_id], result_id, *told)]

        await parts.inbox.look()
        await until(lambda: turn.has_ended)

        assert (ran, turn.result) == ([], b"1")
        assert turn.moves.get(result_id, "consumed") == "consumed"


@pytest.mark.parametrize("resume", [Resume.UNHEARD, Resume.MOVED])
async def test_nothing_of_a_turn_that_was_found_running_runs_before_postgres_has_taken_it_from_here(
    resume: Resume,
) -> None:
    ran = []

    async def boom(context: Context) -> None:
        ran.append(1)

    async with Parts(catalog(boom)) as parts:
        parts.stream.apply = lambda arguments: [False]  # somebody else went on with it
        known: dict[str, Any] = {"workflow": "boom", "version": "1", "status": "running", "attempt": 1, "seq": 1}
        turn = turn_of(loaded(uuid.uuid4(), **known), parts.owned[0])
        turn.resume = resume
        parts.scheduler.found(turn)

        parts.executor.fill()
        await until(lambda: parts.stream.calls and parts.admission.running == 0)

        assert ran == []


async def test_the_timer_of_a_wait_that_a_signal_ends_goes_with_it() -> None:
    """Not when it would have been due, a day later."""

    async def waits(context: Context) -> Any:
        return await context.wait_signal("go", timeout_s=86_400)

    async with Parts(catalog(waits, "waits")) as parts:
        turn_id, timer_id, signal_id = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
        suspended = loaded(turn_id, **waiting_for("signal:go", "signal", timer_id, signals=[(signal_id, "go", b"1")]))
        parts.heads.turns[turn_id] = suspended
        parts.heads.due = [due_row(suspended, signal_id, "signal", "go", payload=b"1")]

        await parts.inbox.look()
        await until(lambda: parts.stream.calls and turn_id not in parts.scheduler.live)

        assert moves(parts)[timer_id] == "deleted"


async def test_a_wait_that_the_code_gives_up_takes_its_timer_along() -> None:
    """`signal or time` written by hand: the loser is cancelled, and its timer would have been due a month later."""
    timers: list[uuid.UUID] = []

    async def waits(context: Context) -> Any:
        alarm = asyncio.ensure_future(context.sleep(30 * 86_400))
        await context.run(record)
        await context.run(record)  # begins when all before it is durable
        timers.extend(written_rows(parts))
        message = asyncio.ensure_future(context.wait_signal("go", timeout_s=86_400))
        await asyncio.sleep(0)
        message.cancel()
        alarm.cancel()
        return await context.wait_signal("other")

    async def record() -> None:
        return None

    async with Parts(catalog(waits, "waits")) as parts:
        turn = parts.begin("waits")
        await until(lambda: turn.written_status is Status.SUSPENDED and turn.turn_id not in parts.scheduler.live)

        assert len(timers) == 1, "the timer of the wait that was given up before any flush is never written"
        assert moves(parts) == {timers[0]: "deleted"}
        assert [wait["name"] for wait in msgspec.json.decode(turn.waits or b"[]")] == ["other"]


async def test_a_timer_that_comes_due_as_its_wait_is_given_up_wakes_nobody() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    alarms: list[Any] = []

    async def hold() -> None:
        begun.set()
        await go_on.wait()

    async def waits(context: Context) -> None:
        alarms.append(asyncio.ensure_future(context.sleep(86_400)))
        await context.run(hold)

    async with Parts(catalog(waits, "waits")) as parts:
        timer_id = uuid.uuid4()
        turn = turn_of(loaded(uuid.uuid4(), **waiting_for("sleep", "sleep", timer_id)), parts.owned[0])
        parts.scheduler.found(turn)
        parts.executor.fill()
        await until(begun.is_set)

        alarms[0].cancel()
        await asyncio.sleep(0)
        assert turn.journal is not None
        turn.journal.fire("sleep", timer_id)
        go_on.set()
        await until(lambda: turn.has_ended and turn.turn_id not in parts.scheduler.live)

        assert (moves(parts), turn.fired) == ({timer_id: "deleted"}, {})
        assert turn.status is Status.COMPLETED


async def test_a_wait_that_was_given_up_gets_a_new_timer_in_a_later_attempt() -> None:
    """Its code may not give it up again: what made it do so may be no part of its history."""

    async def waits(context: Context) -> None:
        await context.sleep(60)

    async with Parts(catalog(waits, "waits")) as parts:
        turn_id = uuid.uuid4()
        known = waiting_for("sleep", "sleep", uuid.uuid4(), 60, timers=[])
        turn = turn_of(loaded(turn_id, **known), parts.owned[0])
        parts.scheduler.found(turn)

        parts.executor.fill()
        await until(lambda: turn_id not in parts.scheduler.live)

        (timer_id,) = written_rows(parts)
        assert msgspec.json.decode(turn.waits or b"[]")[0]["timer_id"] == str(timer_id)


async def test_a_wait_that_goes_on_keeps_its_timer() -> None:
    async def waits(context: Context) -> None:
        await context.sleep(60)

    async with Parts(catalog(waits, "waits")) as parts:
        turn_id, timer_id = uuid.uuid4(), uuid.uuid4()
        turn = turn_of(loaded(turn_id, **waiting_for("sleep", "sleep", timer_id)), parts.owned[0])
        parts.scheduler.found(turn)

        parts.executor.fill()
        await until(lambda: turn_id not in parts.scheduler.live)

        assert (written_rows(parts), moves(parts)) == ([], {})
        assert msgspec.json.decode(turn.waits or b"[]")[0]["timer_id"] == str(timer_id)


async def test_rows_in_hand_and_rows_that_cannot_be_taken_hide_nobody_and_a_look_reads_until_nothing_is_left() -> None:
    async with Parts(catalog(), inbox_rows_max=1_000) as parts:
        running = loaded(uuid.uuid4(), status="running", attempt=1, seq=1, version="1")
        parts.heads.due = [due_row(running, uuid.uuid4(), "signal", "go") for _ in range(600)]
        for number in range(700):
            turn = loaded(uuid.uuid4(), **SUSPENDED)
            parts.heads.due.append(due_row(turn, uuid.uuid4(), "signal", f"s{number}", payload=b"1"))

        await parts.inbox.look()

        assert len(parts.delivery.in_hand.known) == 700, "those of the turn that nobody has read yet stay due"


async def test_a_queue_that_is_full_rests_until_half_of_it_is_done_and_the_others_go_on() -> None:
    async with Parts(catalog(), inbox_rows_max=10) as parts:
        parts.admission.cut_off()  # nothing starts
        asleep = [loaded(uuid.uuid4(), **waiting_for("sleep", "sleep", uuid.uuid4())) for _ in range(30)]
        parts.heads.turns = {each.turn_id: each for each in asleep}
        parts.heads.due = [due_row(each, each.timers[0][1], "timer", "sleep", "sleep") for each in asleep]
        await parts.inbox.look()
        in_hand = list(parts.delivery.in_hand.known)

        cancel = due_row(asleep[29], uuid.uuid4(), "cancel")
        parts.heads.due.append(cancel)
        parts.inbox.moved(in_hand[:4])
        is_early = parts.inbox._work.is_set()
        await parts.inbox.look()

        assert len(in_hand) == 10
        assert not is_early
        assert set(parts.delivery.in_hand.known) == {*in_hand[4:], cancel.inbox_id}
        parts.inbox.moved(in_hand[4:5])
        assert parts.inbox._work.is_set()


@pytest.mark.parametrize("kind", ["signal", "timer"])
async def test_what_is_due_of_a_turn_that_runs_is_not_hidden_by_what_waits_for_a_slot(kind: str) -> None:
    """It is of the same kind, and needs no slot."""
    go_on = asyncio.Event()

    async def hold() -> None:
        await go_on.wait()

    async def waits(context: Context) -> None:
        wait = context.wait_signal("go") if kind == "signal" else context.sleep(3_600)
        held = asyncio.ensure_future(context.run(hold))
        await wait
        held.cancel()

    async with Parts(catalog(waits, "waits"), inbox_rows_max=10) as parts:
        running = parts.begin("waits")
        await until(lambda: running.journal is not None and list(running.journal.open_waits()))
        parts.admission.cut_off()  # nothing else starts
        asleep = [loaded(uuid.uuid4(), **waiting_for("wait", kind, uuid.uuid4())) for _ in range(30)]
        rows = [due_row(each, uuid.uuid4(), kind, "go", "wait", b"1") for each in asleep]
        assert running.journal is not None
        (wait,) = running.journal.open_waits()
        known: dict[str, Any] = {"status": "running", "attempt": 1, "seq": 1, "version": "1"}
        own = due_row(loaded(running.turn_id, **known), uuid.uuid4(), kind, "go", wait.key, b"1")
        parts.heads.due = [*rows, own]

        await parts.inbox.look()
        await until(lambda: running.has_ended and own.inbox_id not in parts.delivery.in_hand)  # it is written
        await parts.inbox.look()

        assert len(parts.delivery.in_hand.known) == 10


async def test_a_row_in_hand_of_a_turn_that_left_memory_without_it_is_read_again() -> None:
    async with Parts(catalog()) as parts:
        parts.admission.cut_off()
        suspended = loaded(uuid.uuid4(), **waiting_for("sleep", "sleep", uuid.uuid4()))
        row = due_row(suspended, suspended.timers[0][1], "timer", "sleep", "sleep")
        parts.heads.due = [row]
        await parts.inbox.look()
        turn = parts.scheduler.live[suspended.turn_id]
        parts.scheduler.left(turn)  # what was read of it was not as memory had it

        await parts.inbox.look()

        assert parts.scheduler.live[suspended.turn_id] is not turn


def waiting_for(key: str, kind: str, timer_id: uuid.UUID, timeout_s: float = 86_400, **known: Any) -> dict[str, Any]:
    """A turn of the workflow `waits` that is suspended in one wait with a timer."""
    started = (1, 1, "turn.started", "", b"{}")
    data = msgspec.json.encode({"kind": kind, "timeout_s": timeout_s})
    return SUSPENDED | {
        "workflow": "waits",
        "events": [started, (2, 1, "wait.started", key, data), (3, 1, "turn.suspended", "", b"{}")],
        "waits": msgspec.json.encode([{"key": key, "kind": kind, "name": "go", "timer_id": str(timer_id)}]),
        "timers": [(key, timer_id, False, 9e9)],
        **known,
    }


def moves(parts: Parts) -> dict[uuid.UUID, str]:
    """What became of rows, by all flushes."""
    flushes = [arguments_of(call) for call in parts.stream.calls]
    return {row_id: to for flush in flushes for row_id, to in zip(flush["x_id"], flush["x_to"], strict=True)}


def written_rows(parts: Parts) -> list[uuid.UUID]:
    """New rows of all flushes."""
    return [row_id for call in parts.stream.calls for row_id in arguments_of(call)["i_id"]]
