"""What a worker holds is bounded: it pauses, a partition stops for graphs that wait, and both go on by themselves."""

import uuid

from argosy import telemetry
from argosy.errors import ShardUnavailableError
from argosy.ingest.chain import EMPTY, chain_of
from argosy.ingest.record import LinesRecord, encode
from argosy.log import Batch, Record
from tests.harness.metrics import value_of
from tests.ingest.test_intake import Reads
from tests.shards.conditions import until

PARTITION_HELD = {"INGEST_PARTITION_HELD_SIZE_BYTES_MAX": "262144"}
HELD = {"INGEST_HELD_SIZE_BYTES_MAX": "1048576", **PARTITION_HELD}
LINE = b'"' + b"x" * 65_536 + b'"'


class Bounded(Reads):
    """A worker that may hold little. next: the position that is delivered next."""

    def __init__(self, **settings: str) -> None:
        super().__init__(**settings)
        self.next = 0
        self.sent: dict[str, int] = {}
        self.chain: dict[str, bytes] = {}

    def deliver_large(self, graph: str, count: int) -> None:
        """So many records of one line each about a graph, as the reader delivers what it has read."""
        for _ in range(count):
            line, before = self.sent.get(graph, 0) + 1, self.chain.get(graph, EMPTY)
            job_id = uuid.uuid5(uuid.NAMESPACE_URL, graph).bytes
            value = encode(LinesRecord(job_id, "acme", graph, bytes(16), 1, line, 1, before, LINE))
            self.sent[graph], self.chain[graph] = line, chain_of(before, [LINE])
            records = [Record(self.next, 0, None, value, ())]
            self.next += 1
            self.intake.take(Batch(0, self.log.started[-1][1], records, self.next - 1, self.next, is_fresh=False))

    async def until_taken(self, graph: str, count: int) -> None:
        await until(lambda: len(self.graphs.graphs[graph].lines) == count)


async def test_a_worker_that_holds_too_much_reads_nothing_until_half_of_it_is_gone() -> None:
    async with Bounded(**HELD) as world:
        world.graphs.of("acme", "slow").gate.clear()
        world.deliver_large("slow", 15)
        assert world.log.paused == []
        world.deliver_large("slow", 2)

        assert world.log.paused == ["pause"]
        assert value_of(telemetry.INGEST_HELD_BYTES) >= 1_048_576
        world.graphs.graphs["slow"].gate.set()
        await world.until_taken("slow", 17)
        await until(lambda: world.log.paused == ["pause", "resume"])


async def test_a_partition_full_of_graphs_that_wait_stops_says_so_and_goes_on_where_it_was() -> None:
    async with Bounded(**PARTITION_HELD) as world:
        down = world.graphs.of("acme", "down")
        down.failures = [ShardUnavailableError("it is down")] * 100_000
        world.deliver_large("down", 3)
        world.deliver_large("up", 1)
        await world.until_taken("up", 1)
        assert world.log.stopped == 0
        world.deliver_large("down", 2)

        await until(lambda: value_of(telemetry.INGEST_PARTITIONS_PAUSED) == 1)
        assert world.log.stopped == 1
        down.failures.clear()
        await world.until_taken("down", 5)
        await until(lambda: len(world.log.started) == 2)

        assert world.log.started[-1][0] == world.next  # what is held is not read again
        world.deliver_large("down", 1)
        await world.until_taken("down", 6)
        await until(lambda: value_of(telemetry.INGEST_PARTITIONS_PAUSED) == 0)


async def test_what_was_on_its_way_when_a_partition_stopped_is_dropped_and_read_again() -> None:
    async with Bounded(**PARTITION_HELD) as world:
        down = world.graphs.of("acme", "down")
        down.failures = [ShardUnavailableError("it is down")] * 100_000
        world.deliver_large("down", 5)
        await until(lambda: world.log.stopped == 1)
        position, line, chain = world.next, world.sent["down"], world.chain["down"]

        world.deliver_large("down", 1)
        world.next, world.sent["down"], world.chain["down"] = position, line, chain
        down.failures.clear()
        await until(lambda: len(world.log.started) == 2)
        assert world.log.started[-1][0] == position
        world.deliver_large("down", 1)
        await world.until_taken("down", 6)
