"""Which graph sends next, and what is passed when."""

import asyncio
import uuid

import pytest

from argosy import telemetry
from argosy.errors import GraphNotFoundError, KeyExpiredError, ShardUnavailableError, StoreUnavailableError
from argosy.ingest.chain import EMPTY, chain_of
from argosy.ingest.job import JobState, WaitsFor
from argosy.ingest.record import EndRecord, LinesRecord, join_lines
from argosy.store.ingest_notes import Note, Noted
from argosy.workers.ingest.partition import Partition
from tests.ingest.world import MemoryNotes, World

LINES = [b"%d" % number for number in range(10)]


def counted(outcome: str) -> float:
    """The lines that this process's workers counted."""
    return sum(
        each.value
        for family in telemetry.INGEST_LINES.collect()
        for each in family.samples
        if each.name.endswith("_total") and each.labels["outcome"] == outcome
    )


async def test_what_is_applied_is_said_and_passed() -> None:
    async with World() as world:
        job = world.upload("crm", LINES)
        await world.until_noted()

    assert world.graphs.graphs["crm"].lines == LINES
    assert world.notes.states == {job: JobState.DONE}
    assert world.reader.told[-1] == (0, 6)


async def test_tenants_take_turns() -> None:
    world = World(INGEST_BATCHES_MAX="1")
    world.upload("large", LINES, tenant="a", size=1)
    world.upload("small", LINES[:2], tenant="b", size=1)

    async with world:
        await world.until_noted()

    order = [graph for graph, _ in world.graphs.calls]
    assert order[:4] == ["large", "small", "large", "small"]


async def test_a_shard_without_room_keeps_no_other_from_sending() -> None:
    world = World(INGEST_BATCHES_MAX="3", INGEST_SHARD_BATCHES_MAX="1")
    world.graphs.shards["there"] = uuid.UUID(int=2)
    for graph in ("slow", "behind", "there"):
        world.upload(graph, LINES)
    world.graphs.graphs["slow"].gate.clear()

    async with world:
        async with asyncio.timeout(20):
            while world.graphs.graphs["there"].lines != LINES:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert world.graphs.graphs["behind"].lines == []
        assert world.notes.positions.get(0, 0) == 0
        world.graphs.graphs["slow"].gate.set()
        await world.until_noted()

    assert world.graphs.graphs["behind"].lines == LINES


async def test_a_graph_that_does_not_answer_says_so_and_is_asked_again() -> None:
    world = World()
    world.upload("crm", LINES)
    world.graphs.graphs["crm"].failures = [ShardUnavailableError("down")] * 3

    async with world:
        await world.until_noted()

    waits = [job.waits_for for note in world.notes.said for job in note.jobs]
    assert waits[0] in (WaitsFor.SHARD, WaitsFor.NOTHING)
    assert waits[-1] is WaitsFor.NOTHING
    assert world.graphs.graphs["crm"].lines == LINES


@pytest.mark.parametrize("done_max", [1, 3])
async def test_lines_that_a_shard_leaves_come_again_and_count_once(done_max: int) -> None:
    before = [counted(outcome) for outcome in ("applied", "rejected", "known")]
    world = World()
    job = world.upload("crm", [*LINES, b"-bad"], size=5)
    world.graphs.graphs["crm"].done_max = done_max

    async with world:
        await world.until_noted()

    assert world.notes.states == {job: JobState.DONE}
    assert world.graphs.graphs["crm"].lines == LINES
    assert world.notes.refused == [11]
    counts = [counted(outcome) for outcome in ("applied", "rejected", "known")]
    # The first call knows nothing of the feed yet, and so not how many lines were done by it.
    assert [now - then for now, then in zip(counts, before, strict=True)] == [len(LINES) - done_max, 1, 0]


async def test_every_refused_line_is_said_before_its_record_is_passed() -> None:
    lines = [b"-%d" % number if number % 4 else b"%d" % number for number in range(40)]
    world = World()
    world.upload("crm", lines, size=10)
    bad = [number for number, line in enumerate(lines, 1) if line.startswith(b"-")]

    async with world:
        await world.until_noted()

    assert world.notes.refused == bad
    told: list[int] = []
    for note in world.notes.said:
        told += [each.line for each in note.rejects]
        for passed in note.passed:
            assert {line for line in bad if line <= passed.end * 10} <= set(told)


async def test_while_nothing_can_be_said_it_is_said_later() -> None:
    world = World()
    world.upload("crm", [*LINES, b"-bad"])
    world.notes.failures = [StoreUnavailableError("away")] * 3

    async with world:
        await world.until_noted()

    assert world.notes.refused == [11]
    assert set(world.notes.states.values()) == {JobState.DONE}


@pytest.mark.parametrize(
    ("error", "code"), [(KeyExpiredError("old"), "expired"), (GraphNotFoundError("gone"), "graph_dropped")]
)
async def test_a_job_that_cannot_go_on_fails_and_others_of_its_graph_do_not(error: Exception, code: str) -> None:
    world = World()
    failed = world.upload("crm", LINES, job=1)
    world.graphs.graphs["crm"].failures = [error]

    async with world:
        await world.until_noted()
        done = world.upload("crm", LINES, job=2)
        await world.until_noted()

    assert world.notes.states == {failed: JobState.FAILED, done: JobState.DONE}
    assert {job.code for note in world.notes.said for job in note.jobs if job.code} == {code}
    assert world.graphs.graphs["crm"].lines == LINES


async def test_what_is_read_of_a_job_that_has_ended_is_dropped() -> None:
    world = World()
    world.notes.states[uuid.UUID(int=1)] = JobState.CANCELLED
    world.upload("crm", LINES, job=1)

    async with world:
        await world.until_noted()

    assert world.graphs.graphs["crm"].lines == []


async def test_what_a_partition_brought_is_dropped_when_it_is_read_no_more() -> None:
    world = World(INGEST_BATCHES_MAX="1")
    world.upload("crm", LINES)
    world.graphs.graphs["crm"].gate.clear()

    async with world:
        async with asyncio.timeout(20):
            while not world.graphs.calls:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        world.partition.is_over = True
        world.progress.leave(world.partition)
        world.loading.drop_old()
        world.graphs.graphs["crm"].gate.set()
        world.partition = Partition(0, 0, 2)
        world.progress.read(world.partition)
        world.next_position = 0
        world.upload("crm", LINES, job=1_000)
        await world.until_noted()

    assert world.graphs.graphs["crm"].lines == LINES


def test_a_partition_is_done_up_to_its_first_record_that_is_not() -> None:
    partition = Partition(0, 5, 1)
    first, second = partition.add(5, 100), partition.add(8, 50)
    partition.skip_to(12)

    assert (partition.position, partition.held_size_bytes) == (5, 150)
    partition.done(second)
    assert (partition.position, partition.held_size_bytes) == (5, 100)
    partition.done(first)
    partition.done(first)
    assert (partition.position, partition.held_size_bytes, partition.undone) == (12, 0, 0)
    partition.skip_to(20)
    assert partition.position == 20


async def test_what_was_done_stays_done_whatever_end_of_another_upload_comes_behind_it() -> None:
    """Both ends are read before anything is said: the row has the first one's."""
    world = World()
    job = world.upload("crm", LINES, job=1)
    world.notes.ends[job] = (len(LINES), chain_of(EMPTY, LINES))
    other = [*LINES[:5], b"another", b"upload"]
    world.upload("crm", other, job=1)

    async with world:
        await world.until_noted()

    assert world.notes.states == {job: JobState.DONE}
    assert world.graphs.graphs["crm"].lines == LINES


async def test_an_end_that_is_not_the_jobs_does_not_hide_the_one_that_is() -> None:
    """The other upload's end comes first, and its failure is not the job's."""
    world = World()
    other = [*LINES[:5], b"another"]
    before = chain_of(EMPTY, LINES)
    about = (uuid.UUID(int=1).bytes, "acme", "crm", bytes(16), 1)
    world.read(LinesRecord(*about, 1, len(LINES), EMPTY, join_lines(LINES)))
    world.notes.ends[uuid.UUID(int=1)] = (len(LINES), before)
    world.read(EndRecord(*about, len(other), chain_of(EMPTY, other)))
    world.read(EndRecord(*about, len(LINES), before))

    async with world:
        await world.until_noted()

    assert world.notes.states == {uuid.UUID(int=1): JobState.DONE}
    assert {job.code for note in world.notes.said for job in note.jobs} == {"", "idempotency_mismatch"}


async def test_a_job_is_one_feed_as_long_as_its_records_are_held() -> None:
    """Its foreign lines are remembered at its end, although very many other jobs came between the two."""
    world = World()
    other = [*LINES[:5], *(b"another %d" % number for number in range(9))]
    about = (uuid.UUID(int=1).bytes, "acme", "crm", bytes(16), 1)
    world.read(LinesRecord(*about, 1, len(LINES), EMPTY, join_lines(LINES)))
    world.read(LinesRecord(*about, 1, len(other), EMPTY, join_lines(other)))
    for number in range(10_001):
        about_one = (uuid.UUID(int=2 + number).bytes, "acme", "others", bytes(16), 1)
        world.read(LinesRecord(*about_one, 1, 1, EMPTY, b"one"))
    world.read(EndRecord(*about, len(other), chain_of(EMPTY, other)))
    async with world:
        async with asyncio.timeout(60):
            while not world.notes.states:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    assert world.notes.states == {uuid.UUID(int=1): JobState.FAILED}


class GatedNotes(MemoryNotes):
    """What is said of jobs waits for a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.is_asked = asyncio.Event(), asyncio.Event()

    async def say(self, note: Note) -> Noted:
        if note.jobs:
            self.is_asked.set()
            await self.gate.wait()
        return await super().say(note)


async def test_no_position_overtakes_what_is_being_said_of_the_records_before_it() -> None:
    """As when a worker ends: it says what it knows while a call about jobs is under way."""
    notes = GatedNotes()
    world = World(notes)
    job = world.upload("crm", [*LINES, b"-bad"])

    async with world:
        async with asyncio.timeout(20):
            await notes.is_asked.wait()
            while world.partition.position < world.next_position:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            last = asyncio.create_task(world.progress.say())
            await asyncio.wait({last}, timeout=0.5)
            passed = dict(notes.positions)
            notes.gate.set()
            await last

    assert passed == {}
    assert (notes.positions, notes.states) == ({0: world.next_position}, {job: JobState.DONE})
    assert notes.refused == [11]
