"""What follows when partitions are claimed and lost, over a scripted store."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from argosy import Context, step
from argosy.store.partition import Claimed
from argosy.workers.dispatch.elsewhere import HeldTurn
from argosy.workers.dispatch.owned import Owned, Resume
from argosy.workers.dispatch.ownership.changes import Loss, NewClaim
from argosy.workers.dispatch.ring import RingWorker
from argosy.workers.dispatch.scheduling.reads import Read
from argosy.workers.dispatch.turn import Stop, Turn
from tests.dispatch.joined_parts import Parts, catalog, make_owned, make_turn, until

FORMER = uuid.uuid4()


def spied(monkeypatch: pytest.MonkeyPatch, part: Any, name: str, hear: Callable[[Any], object]) -> None:
    """Have hear(argument) called before each call of the part's method."""
    real = getattr(part, name)

    def call(argument: Any) -> Any:
        hear(argument)
        return real(argument)

    monkeypatch.setattr(part, name, call)


async def run(parts: Parts, started: asyncio.Event) -> Turn:
    turn: Turn = make_turn(parts.owned[0])
    parts.scheduler.accepted(turn, True, Read())
    parts.executor.fill()
    await started.wait()
    return turn


async def test_a_loss_stops_what_runs_before_followers_hear_of_it_and_before_slots_are_freed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started, gate = asyncio.Event(), asyncio.Event()

    @step
    async def works() -> None:
        started.set()
        await gate.wait()

    async def flow(ctx: Context) -> None:
        await ctx.run(works)

    async with Parts(catalog(flow, "echo")) as parts:
        turn = await run(parts, started)
        owned: Owned = parts.owned[0]
        seen: list[tuple[str, Stop | None]] = []

        def see(name: str) -> Callable[[Any], None]:
            return lambda _: seen.append((name, turn.stop))

        for part, name in (
            (parts.scheduler, "void"),
            (parts.handover, "begin"),
            (parts.hub, "gone"),
            (parts.executor, "forget"),
        ):
            spied(monkeypatch, part, name, see(name))

        parts.ownership.lost([owned])

        assert seen == [("void", None), ("begin", None), ("gone", Stop.HANDOVER), ("forget", Stop.HANDOVER)]
        assert parts.admission.running == 1  # its step runs on, and keeps the slot
        gate.set()
        await until(lambda: parts.admission.running == 0)
        assert [row.turn_id for row in parts.partitions.results] == [turn.turn_id] * 2


async def test_what_memory_knew_of_a_lost_partition_is_asked_before_it_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Parts(catalog()) as parts:
        owned: Owned = parts.owned[0]
        turn = make_turn(owned)
        parts.scheduler.accepted(turn, True, Read())
        parts.elsewhere.held[uuid.uuid4()] = HeldTurn(owned, f"{FORMER}/1", float("inf"), Resume.UNHEARD)
        losses: list[Loss] = []
        spied(monkeypatch, parts.handover, "begin", losses.extend)

        parts.ownership.lost([owned])

        assert [(each.owned, each.turns, each.is_taking_up) for each in losses] == [(owned, [turn], True)]
        assert not parts.scheduler.live


async def test_a_loss_is_told_once_per_claim_however_many_find_it_out() -> None:
    async with Parts(catalog()) as parts:
        first: Owned = parts.owned[0]
        parts.ownership.lost([first])
        parts.ownership.lost([first])
        await until(lambda: parts.partitions.given == [0])
        await parts.background.until_idle()
        assert parts.partitions.given == [0]

        parts.owned[0] = make_owned()
        parts.ownership.lost([first, parts.owned[0]])

        await until(lambda: parts.partitions.given == [0, 0])


async def test_a_claim_waits_for_the_former_owner_who_is_asked() -> None:
    async with Parts(catalog()) as parts:
        parts.fleet.told([RingWorker(FORMER, 1, "default", "127.0.0.1:9", False, True)])
        owned = Owned(0, epoch=2, buckets=(0, 1023))

        parts.dispatcher.after_claim([NewClaim(owned, Claimed(2, FORMER, 1))])

        assert parts.poker.asked == [(FORMER, [0])]
        known = asyncio.create_task(parts.takeover.until_known(owned))
        await asyncio.sleep(0)
        assert not known.done()
        assert not owned.is_open
        known.cancel()
