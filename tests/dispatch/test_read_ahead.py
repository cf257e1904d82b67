"""Suspended turns are read while somebody writes a signal to them."""

import asyncio
import uuid
from typing import Any

from argosy.store.head import LoadedTurn, SentSignal
from argosy.workers.dispatch.scheduling.reads import Read
from tests.dispatch.joined_parts import SUSPENDED, Parts, catalog, due_row, loaded, make_owned, make_turn

TENANT = "a"  # of `loaded`
WAITS_FOR_GO = b'[{"key":"signal:go","kind":"signal","name":"go"}]'


def signal(turn_id: uuid.UUID, name: str = "go", payload: bytes = b"1") -> SentSignal:
    return SentSignal(uuid.uuid4(), turn_id, 0, name, payload)


def waiting(turn_id: uuid.UUID, *signals: SentSignal, **known: Any) -> LoadedTurn:
    stored = [(each.inbox_id, each.name, each.payload) for each in signals]
    return loaded(turn_id, **SUSPENDED | {"waits": WAITS_FOR_GO, "signals": stored} | known)


def answers(parts: Parts, signals: list[SentSignal], *turns: LoadedTurn) -> list[list[uuid.UUID]]:
    """What Postgres answers; neither query is answered before the other was asked. Returns what was asked for."""
    asked, both = [], asyncio.Barrier(2)

    async def await_signals(turn_ids: list[uuid.UUID]) -> list[SentSignal]:
        asked.append(turn_ids)
        await both.wait()
        return signals

    async def load_suspended(turn_ids: list[uuid.UUID], events_max: int) -> list[LoadedTurn]:
        await both.wait()
        return list(turns)

    parts.heads.await_signals, parts.heads.load_suspended = await_signals, load_suspended
    return asked


async def read(parts: Parts, *turn_ids: uuid.UUID, tenant: str = TENANT) -> None:
    parts.ahead.poke((tenant, turn_id) for turn_id in turn_ids)
    async with asyncio.timeout(3):
        await parts.ahead.read()


async def test_a_turn_is_read_and_its_signal_awaited_at_once() -> None:
    async with Parts(catalog()) as parts:
        turn_id = uuid.uuid4()
        sent = signal(turn_id)
        asked = answers(parts, [sent], waiting(turn_id, sent))

        await read(parts, turn_id)

        assert asked == [[turn_id]]
        assert [each.inbox_id for each in parts.scheduler.live[turn_id].signals] == [sent.inbox_id]
        assert sent.inbox_id in parts.delivery.in_hand


async def test_a_turn_of_another_tenant_than_was_named_is_not_woken() -> None:
    async with Parts(catalog()) as parts:
        turn_id = uuid.uuid4()
        sent = signal(turn_id)
        answers(parts, [sent], waiting(turn_id, sent))

        await read(parts, turn_id, tenant="other")

        assert turn_id not in parts.scheduler.live
        assert sent.inbox_id not in parts.delivery.in_hand


async def test_a_turn_that_was_read_before_its_signal_was_committed_has_it_all_the_same() -> None:
    async with Parts(catalog()) as parts:
        turn_id = uuid.uuid4()
        earlier, sent = signal(turn_id, "other"), signal(turn_id)
        answers(parts, [earlier, sent], waiting(turn_id, earlier))

        await read(parts, turn_id)

        turn = parts.scheduler.live[turn_id]
        assert [each.inbox_id for each in turn.signals] == [earlier.inbox_id, sent.inbox_id]
        assert turn.seen == {earlier.inbox_id, sent.inbox_id}


async def test_a_turn_that_ran_meanwhile_is_not_believed() -> None:
    async with Parts(catalog()) as parts:
        turn = make_turn(parts.owned[0])
        sent = signal(turn.turn_id)
        answers(parts, [sent], waiting(turn.turn_id, sent))
        load_suspended = parts.heads.load_suspended

        async def ran_meanwhile(turn_ids: list[uuid.UUID], events_max: int) -> list[LoadedTurn]:
            parts.scheduler.accepted(turn, True, Read())
            parts.scheduler.left(turn)
            return await load_suspended(turn_ids, events_max)

        parts.heads.load_suspended = ran_meanwhile
        await read(parts, turn.turn_id)

        assert turn.turn_id not in parts.scheduler.live
        assert sent.inbox_id not in parts.delivery.in_hand


async def test_a_turn_whose_partition_was_claimed_again_meanwhile_is_not_believed() -> None:
    async with Parts(catalog()) as parts:
        turn_id = uuid.uuid4()
        sent = signal(turn_id)
        answers(parts, [sent], waiting(turn_id, sent))
        load_suspended = parts.heads.load_suspended

        async def claimed_meanwhile(turn_ids: list[uuid.UUID], events_max: int) -> list[LoadedTurn]:
            parts.owned[0].is_void = True
            parts.owned[0] = make_owned()
            return await load_suspended(turn_ids, events_max)

        parts.heads.load_suspended = claimed_meanwhile
        await read(parts, turn_id)

        assert turn_id not in parts.scheduler.live


async def test_a_turn_of_which_a_signal_was_buffered_meanwhile_is_not_believed() -> None:
    """It was read before that one was committed, and the rows that are due when it is read now do not show it."""
    async with Parts(catalog()) as parts:
        turn_id = uuid.uuid4()
        other, sent = signal(turn_id, "other"), signal(turn_id)
        answers(parts, [sent], waiting(turn_id))
        load_suspended = parts.heads.load_suspended
        row = due_row(waiting(turn_id, other), other.inbox_id, "signal", "other", payload=b"1")

        async def buffered_meanwhile(turn_ids: list[uuid.UUID], events_max: int) -> list[LoadedTurn]:
            parts.heads.due, parts.heads.turns = [row], {turn_id: waiting(turn_id, other)}
            await parts.inbox.look()
            return await load_suspended(turn_ids, events_max)

        parts.heads.load_suspended = buffered_meanwhile
        await read(parts, turn_id)

        assert other.inbox_id in parts.delivery.in_hand
        assert turn_id not in parts.scheduler.live


async def test_what_inbox_takes_while_nothing_is_read_is_not_kept() -> None:
    async with Parts(catalog()) as parts:
        turn_id = uuid.uuid4()
        sent = signal(turn_id)
        answers(parts, [sent], waiting(turn_id, sent))
        parts.scheduler.reads.took(turn_id)

        await read(parts, turn_id)

        assert turn_id in parts.scheduler.live


async def test_what_is_not_suspended_until_this_signal_is_left_to_those_who_look_for_what_is_due() -> None:
    async with Parts(catalog()) as parts:
        another, queued, parked = (uuid.uuid4() for _ in range(3))
        signals = [signal(another, "other"), signal(queued), signal(parked)]
        turns = [waiting(another), waiting(queued, status="queued", waits=None), waiting(parked, status="parked")]
        answers(parts, signals, *turns)

        await read(parts, another, queued, parked)

        assert (parts.scheduler.live, list(parts.delivery.in_hand.known)) == ({}, [])


async def test_turns_that_are_named_are_bounded_and_asked_for_once_and_only_when_they_may_be_ours() -> None:
    async with Parts(catalog()) as parts:
        asked = answers(parts, [])
        for _ in range(2):
            parts.ahead.poke((TENANT, uuid.uuid4()) for _ in range(50))
        await read(parts)
        await read(parts)
        parts.owned.clear()  # somebody else's
        await read(parts, uuid.uuid4())

        assert [len(each) for each in asked] == [64]
