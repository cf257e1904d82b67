"""Due rows of the inbox at moments that are hard to bring about with real servers."""

import uuid

from argosy.store.head import DueRow
from tests.dispatch.joined_parts import SUSPENDED, Parts, catalog, loaded, make_turn, until


async def test_a_timer_in_hand_of_a_turn_that_is_parked_is_released():
    async with Parts(catalog()) as parts:
        turn_id, timer_id = uuid.uuid4(), uuid.uuid4()
        waits = b'[{"key":"sleep","kind":"sleep","timer_id":"%s","due_at_s":1.0}]' % str(timer_id).encode()
        parts.heads.turns[turn_id] = loaded(turn_id, **SUSPENDED | {"workflow": "gone", "waits": waits})
        parts.heads.due = [DueRow(timer_id, turn_id, 0, "timer", "sleep", "sleep", None, "suspended", 0.0)]
        await parts.inbox._read()
        await until(lambda: parts.executor.running == 0 and turn_id not in parts.scheduler.live)
        assert timer_id not in parts.inbox._in_hand, "due in Postgres for ever, and never looked at again"


async def test_rows_in_hand_of_a_refused_turn_are_looked_at_again():
    async with Parts(catalog()) as parts:
        parts.stream.apply = lambda arguments: [False] * 1
        turn_id, cancel_id = uuid.uuid4(), uuid.uuid4()
        parts.heads.turns[turn_id] = loaded(turn_id, **SUSPENDED | {"workflow": "gone"})
        parts.heads.due = [DueRow(cancel_id, turn_id, 0, "cancel", "", "", None, "suspended", 0.0)]
        await parts.inbox._read()
        await until(lambda: parts.stream.calls)
        await until(lambda: cancel_id not in parts.inbox._in_hand)
        assert turn_id not in parts.scheduler.live


async def test_a_signal_that_meets_a_turn_before_its_accept_has_answered_is_read_when_the_turn_runs() -> None:
    async with Parts(catalog()) as parts:
        turn = make_turn(parts.owned[0])
        parts.heads.turns[turn.turn_id] = loaded(turn.turn_id, turn.session_id)
        parts.heads.due = [DueRow(uuid.uuid4(), turn.turn_id, 0, "signal", "go", "", b"1", "queued", 0.0)]

        await parts.inbox._read()  # Postgres has the turn, memory has not
        parts.pager.entered(turn)

        assert turn.needs_load


async def test_what_was_read_of_a_turn_that_ran_meanwhile_is_not_believed() -> None:
    """It entered memory, ran and left it while the answer was on its way: its row is looked at again."""
    async with Parts(catalog()) as parts:
        turn = make_turn(parts.owned[0])
        signal_id = uuid.uuid4()
        stale = loaded(turn.turn_id, turn.session_id)
        parts.heads.due = [DueRow(signal_id, turn.turn_id, 0, "signal", "go", "", b"1", "queued", 0.0)]

        async def load_turns(ids):
            parts.scheduler.accepted(turn, True)
            parts.scheduler.left(turn)  # suspended, and its flush is durable
            return [stale]

        parts.heads.load_turns = load_turns
        await parts.inbox._read()

        assert signal_id not in parts.inbox._in_hand
        assert parts.inbox._work.is_set()
