"""What is read, and what is passed: records that nobody can decode, and those that only a newer worker can."""

import asyncio
import uuid
from typing import Self

from argosy import config
from argosy.clock import SystemClock
from argosy.ingest.chain import EMPTY
from argosy.ingest.record import LinesRecord, encode
from argosy.log import Batch, Identity, Record, Span
from argosy.record_mac import ForgedRecordError
from argosy.workers.ingest.intake import Intake
from tests.ingest.world import MemoryNotes, World


class ScriptedReader:
    """A log of one partition, of which a test delivers what it likes. started: (position, reading). paused: what of
    `pause` and `resume` came, in order.
    """

    def __init__(self) -> None:
        self.started: list[tuple[int, int]] = []
        self.paused: list[str] = []
        self.stopped = 0

    async def spans(self, partitions: list[int]) -> dict[int, Span]:
        return dict.fromkeys(partitions, Span(0, 100))

    def start(self, partition: int, position: int, reading_no: int) -> None:
        self.started.append((position, reading_no))

    def stop(self, partition: int) -> None:
        self.stopped += 1

    def pause(self) -> None:
        self.paused.append("pause")

    def resume(self) -> None:
        self.paused.append("resume")


class SameLog:
    async def look(self) -> None:
        return None


class OpenNotes(MemoryNotes):
    log_id = ""

    async def begin(self) -> None: ...

    async def open_positions(self, begins: dict[int, int]) -> dict[int, int]:
        return {number: self.positions.get(number, 0) for number in begins}


class Reads(World):
    """A worker's parts with an intake."""

    def __init__(self, **settings: str) -> None:
        super().__init__(OpenNotes(), **settings)
        self.progress.leave(self.partition)
        self.log = ScriptedReader()
        self.intake = Intake(
            self.log,  # type: ignore[arg-type]
            self.notes,  # type: ignore[arg-type]
            SameLog(),  # type: ignore[arg-type]
            self.progress,
            self.loading,
            SystemClock(),
            config.load(settings),
        )
        self.intake.begin(Identity("cluster", "topic", 1))

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.tasks.append(asyncio.create_task(self.intake.run()))
        self.intake.eligible(frozenset({0}))
        async with asyncio.timeout(20):
            while not self.log.started:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return self

    def deliver(self, begin: int, *values: bytes) -> None:
        records = [Record(begin + number, 0, None, value, ()) for number, value in enumerate(values)]
        self.intake.take(Batch(0, self.log.started[-1][1], records, begin, begin + len(values), is_fresh=False))


def lines(first: int, before: bytes = EMPTY) -> bytes:
    return encode(LinesRecord(uuid.UUID(int=1).bytes, "acme", "crm", bytes(16), 1, first, 1, before, b"%d" % first))


async def test_a_record_that_nobody_can_decode_is_kept_and_passed() -> None:
    async with Reads() as world:
        world.deliver(0, b"\x01rubbish", lines(1))
        await world.until_noted(2)

    assert [(each.position, each.value) for note in world.notes.said for each in note.dead] == [(0, b"\x01rubbish")]
    assert world.graphs.graphs["crm"].lines == [b"1"]


async def test_lines_that_no_gateway_signed_are_kept_aside_whatever_they_say() -> None:
    refused = ForgedRecordError("the record's MAC is not the one of its content")
    async with Reads() as world:
        forged = [Record(0, 0, None, lines(1), (), refused), Record(1, 0, None, b"\x7fnewer", (), refused)]
        world.intake.take(Batch(0, world.log.started[-1][1], forged, 0, 2, is_fresh=False))
        world.deliver(2, lines(1))
        await world.until_noted(3)

    dead = [(each.position, each.code) for note in world.notes.said for each in note.dead]
    assert dead == [(0, "forged_record"), (1, "forged_record")]
    assert world.graphs.graphs["crm"].lines == [b"1"]


async def test_a_record_of_a_newer_version_is_not_passed() -> None:
    async with Reads() as world:
        world.deliver(0, lines(1), b"\x7fnewer", lines(2))
        await world.until_noted(1)
        world.deliver(3, lines(3))

    assert world.log.stopped == 1
    assert world.notes.positions == {0: 1}
    assert world.notes.said[-1].dead == []


async def test_a_batch_that_leaves_something_out_is_read_again() -> None:
    async with Reads() as world:
        world.deliver(0, lines(1))
        world.deliver(5, lines(2))
        await world.until_noted(1)

    assert world.log.started == [(0, 1), (1, 2)]


async def test_everything_is_read_again_after_the_database_went_back() -> None:
    async with Reads() as world:
        world.deliver(0, lines(1))
        await world.until_noted(1)
        world.notes.positions.clear()
        world.intake.begin_again()
        async with asyncio.timeout(20):
            while len(world.log.started) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        world.deliver(0, lines(1))
        await world.until_noted(1)

    assert world.log.started == [(0, 1), (0, 2)]
    assert world.graphs.graphs["crm"].lines == [b"1"]
