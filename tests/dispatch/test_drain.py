"""The orderly end of a worker, with its own parts over a scripted store."""

import asyncio
import uuid

from argosy import Context, step
from argosy.config import load
from argosy.turn.status import Status
from argosy.workers.dispatch.drain import Drain
from argosy.workers.dispatch.ring import RingWorker
from argosy.workers.dispatch.scheduling.reads import Read
from argosy.workers.dispatch.turn import Stop
from tests.dispatch.joined_parts import Parts, catalog, make_turn, until


class Gated:
    """A workflow of one step, which runs until `gate` is set."""

    def __init__(self) -> None:
        self.started, self.gate = asyncio.Event(), asyncio.Event()

        @step
        async def works() -> None:
            self.started.set()
            await self.gate.wait()

        async def flow(context: Context) -> None:
            await context.run(works)

        self.catalog = catalog(flow, "echo")


def drain_of(parts: Parts) -> Drain:
    settings = load({}, handover_s=10.0, drain_timeout_s=10.0, drain_write_s=10.0)
    return Drain(
        parts.ownership, parts.borrowing, parts.admission, parts.handover, parts.flusher, parts.clock, settings
    )


async def test_a_worker_that_is_alone_ends_what_runs_and_starts_nothing() -> None:
    code = Gated()
    async with Parts(code.catalog, dispatch_slots=1) as parts:
        running, waiting = (make_turn(parts.owned[0], place=place) for place in (1, 2))
        for turn in (running, waiting):
            parts.scheduler.accepted(turn, True, Read())
        parts.executor.fill()
        await code.started.wait()
        draining = asyncio.create_task(drain_of(parts).run())
        await until(lambda: not parts.admission.is_open)
        code.gate.set()
        await draining

        assert (running.status, waiting.status) == (Status.COMPLETED, Status.QUEUED)
        assert (waiting.journal, parts.owned, parts.partitions.given) == (None, {}, [0])


async def test_a_worker_in_company_hands_over_and_its_steps_in_flight_end_here() -> None:
    code = Gated()
    async with Parts(code.catalog) as parts:
        turn = parts.begin()
        await code.started.wait()
        parts.ownership.fleet.told(
            [RingWorker(uuid.uuid4(), 2, parts.ownership.fleet.lane, "127.0.0.1:2", False, True)]
        )
        draining = asyncio.create_task(drain_of(parts).run())
        await until(lambda: parts.partitions.given)

        assert (turn.stop, turn.status, parts.partitions.results) == (Stop.HANDOVER, Status.RUNNING, [])
        code.gate.set()
        await draining

        assert [row.turn_id for row in parts.partitions.results] == [turn.turn_id] * 2
        assert parts.admission.running == 0
