"""Two uploads under one key, of which one goes on where the other ends: what is refused is not applied."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Final

import pytest

from argosy.errors import StoreUnavailableError
from argosy.ingest.chain import EMPTY, chain_of
from argosy.ingest.job import JobState
from argosy.ingest.record import EndRecord, LinesRecord, join_lines
from argosy.store.ingest_notes import Note, Noted, Verdict
from argosy.workers.ingest.partition import Partition
from tests.ingest.world import MemoryNotes, World

SHORT: Final = [b"%d" % number for number in range(6)]
LONG: Final = [*SHORT, b"6", b"7", b"-8"]
JOB: Final = uuid.UUID(int=1)


class GatedNotes(MemoryNotes):
    """What is said of ends waits for a gate. is_asked: once somebody waits there."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.is_asked = asyncio.Event(), asyncio.Event()

    async def say(self, note: Note) -> Noted:
        if any(each.verdict for each in note.jobs):
            self.is_asked.set()
            await self.gate.wait()
        return await super().say(note)


def both_read(world: World) -> None:
    """The short upload, and behind its end the rest of the long one, as the log has them."""
    about = (JOB.bytes, "acme", "crm", bytes(16), 1)
    at_end, rest = chain_of(EMPTY, SHORT), LONG[len(SHORT) :]
    world.read(LinesRecord(*about, 1, len(SHORT), EMPTY, join_lines(SHORT)))
    world.read(EndRecord(*about, len(SHORT), at_end))
    world.read(LinesRecord(*about, len(SHORT) + 1, len(rest), at_end, join_lines(rest)))
    world.read(EndRecord(*about, len(LONG), chain_of(EMPTY, LONG)))


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_lines_behind_an_end_with_which_the_job_is_done_are_dropped() -> None:
    async with World() as world:
        both_read(world)
        await world.until_noted()

    assert world.graphs.graphs["crm"].lines == SHORT
    assert world.notes.states == {JOB: JobState.DONE}
    assert world.notes.refused == []


async def test_lines_behind_an_end_that_was_refused_are_applied() -> None:
    """The row had the end of the long upload first."""
    world = World()
    world.notes.ends[JOB] = (len(LONG), chain_of(EMPTY, LONG))

    async with world:
        both_read(world)
        await world.until_noted()

    assert world.graphs.graphs["crm"].lines == LONG[:-1]
    assert world.notes.states == {JOB: JobState.DONE}
    assert world.notes.refused == [len(LONG)]


async def test_when_lines_of_the_long_one_stand_before_the_short_ones_end_the_job_fails_and_says_what_is_applied() -> (
    None
):
    """Nothing tells a worker that an end is to come; each line is applied once all the same."""
    about = (JOB.bytes, "acme", "crm", bytes(16), 1)
    async with World() as world:
        world.read(LinesRecord(*about, 1, len(LONG), EMPTY, join_lines(LONG)))
        world.read(EndRecord(*about, len(SHORT), chain_of(EMPTY, SHORT)))
        world.read(EndRecord(*about, len(LONG), chain_of(EMPTY, LONG)))
        await world.until_noted()

    assert world.graphs.graphs["crm"].lines == LONG[:-1]
    assert world.notes.states == {JOB: JobState.FAILED}
    [failed] = [each for note in world.notes.said for each in note.jobs if each.verdict is Verdict.FAILED]
    assert (failed.code, failed.end_line) == ("idempotency_mismatch", len(SHORT))
    assert f"of that one {len(LONG)} lines were applied" in failed.reason


@pytest.mark.parametrize("failures", [0, 2])
async def test_they_are_not_sent_while_what_the_end_came_to_is_on_its_way(failures: int) -> None:
    notes = GatedNotes()
    world = World(notes, INGEST_BATCHES_MAX="1")

    async with world:
        both_read(world)
        await notes.is_asked.wait()
        world.upload("later", SHORT)
        await until(lambda: world.graphs.graphs["later"].lines == SHORT)  # by then each graph before had its turn
        sent = [first for graph, first in world.graphs.calls if graph == "crm"]
        notes.failures = [StoreUnavailableError("away")] * failures
        notes.gate.set()
        await world.until_noted()

    assert sent == [1]
    assert world.graphs.graphs["crm"].lines == SHORT
    assert notes.states[JOB] is JobState.DONE


async def test_other_jobs_of_the_graph_go_on_meanwhile() -> None:
    notes = GatedNotes()
    world = World(notes)
    world.upload("crm", SHORT, job=1)
    world.read(LinesRecord(uuid.UUID(int=2).bytes, "acme", "crm", bytes(16), 1, 1, 1, EMPTY, b"other"))

    async with world:
        await until(lambda: world.graphs.graphs["crm"].lines == [*SHORT, b"other"])
        is_noted = JOB in notes.states
        notes.gate.set()
        await world.until_noted()

    assert not is_noted


async def test_what_was_forgotten_meanwhile_holds_nothing_up() -> None:
    """The database went back while an end was on its way: all is read again."""
    notes = GatedNotes()
    world = World(notes)

    async with world:
        both_read(world)
        await notes.is_asked.wait()
        world.partition.is_over = True
        world.progress.forget()
        world.loading.drop_old()
        notes.gate.set()
        notes.ends[JOB] = (len(LONG), chain_of(EMPTY, LONG))
        world.partition = Partition(0, 0, 2)
        world.progress.read(world.partition)
        world.next_position = 0
        both_read(world)
        await world.until_noted()

    assert world.graphs.graphs["crm"].lines == LONG[:-1]
    assert notes.states == {JOB: JobState.DONE}
