"""Which graph sends next.

Rules:
- At most INGEST_BATCHES_MAX calls are under way, and INGEST_SHARD_BATCHES_MAX to one shard: a slow one holds up no
  other.
- Tenants take turns, one call each, and so do the graphs of a tenant. A call has about as many bytes as any other.
- A graph whose shard has no room waits for that shard alone, and does not keep its tenant's turn.
- While what was found out cannot be said (`Progress.room`), nothing is sent.
"""

import asyncio
import uuid
from collections import Counter, OrderedDict, deque
from typing import Final

from argosy import telemetry
from argosy.clock import Clock
from argosy.config import Settings
from argosy.errors import ArgosyError
from argosy.graph.asker import FLEET
from argosy.graph.graphs import Graphs
from argosy.ingest.record import IngestRecord
from argosy.log import Record
from argosy.rounds import Rounds
from argosy.store.ingest import Jobs
from argosy.workers.ingest.feed import Feed, Held
from argosy.workers.ingest.graph_feeds import GraphFeeds, Next
from argosy.workers.ingest.graph_life import GraphLives
from argosy.workers.ingest.partition import Partition
from argosy.workers.ingest.progress import Progress

_FEEDS_KEPT: Final = 10_000  # beyond those with records: one that is forgotten is only asked once more than needed
_BESIDE_BYTES: Final = 2_048  # what a record takes beside its value: its job's feed, and its graph's queue
_Key = tuple[str, str, bytes]


class Loading:
    """The graphs that this worker has records for. `run` until cancelled."""

    def __init__(
        self, graphs: Graphs, jobs: Jobs, lives: GraphLives, progress: Progress, clock: Clock, settings: Settings
    ) -> None:
        self._graphs = graphs
        self._jobs = jobs
        self._lives = lives
        self._progress = progress
        self._clock = clock
        self._batches_max = settings.ingest_batches_max
        self._shard_batches_max = settings.ingest_shard_batches_max
        self._wait_s_max = settings.ingest_retry_s_max
        self._rounds = Rounds("ingest loading", clock)
        self._queues: dict[_Key, GraphFeeds] = {}
        self._feeds: OrderedDict[bytes, Feed] = OrderedDict()
        self._ready: OrderedDict[str, deque[_Key]] = OrderedDict()
        self._placed: set[_Key] = set()  # in exactly one place: ready, under way, or waiting for something
        self._for_shard: dict[uuid.UUID, deque[_Key]] = {}
        self._for_note: set[_Key] = set()
        self._pausing: dict[_Key, asyncio.TimerHandle] = {}
        self._at_shard: Counter[uuid.UUID] = Counter()
        self._work = asyncio.Event()
        self._is_draining = False
        self.in_flight = 0
        progress.follow(self.after_note)

    # What comes in

    def add(self, partition: Partition, record: IngestRecord, read: Record) -> None:
        """Take in a record of a partition."""
        key = (record.tenant, record.graph, record.incarnation)
        queue = self._queues.get(key)
        if queue is None:
            graph = self._graphs.of(record.tenant, record.graph, uuid.UUID(bytes=record.incarnation), asker=FLEET)
            queue = self._queues[key] = GraphFeeds(
                graph, self._jobs, self._lives, self._progress, self._clock, wait_s_max=self._wait_s_max
            )
        slot = partition.add(read.position, len(read.value or b"") + _BESIDE_BYTES)
        queue.add(Held(self._feed(record), record, partition, slot))
        if key not in self._placed:
            self._placed.add(key)
            self._enter(key)

    def drop_old(self) -> None:
        """Drop what was read under readings that are over, and what is known of files: others go on with them."""
        for queue in self._queues.values():
            queue.drop_old()
        for feed in self._feeds.values():
            feed.forget()
        for key in self._for_note:  # what they wait for may have been dropped
            self._enter(key)
        self._for_note.clear()

    def after_note(self, feed: Feed) -> None:
        """Postgres has what was said of a feed."""
        key = (feed.tenant, feed.graph, feed.incarnation.bytes)
        if key in self._for_note:
            self._for_note.discard(key)
            self._enter(key)

    @property
    def feeds(self) -> list[Feed]:
        """The feeds that this worker has records of, or had lately, and whose jobs may go on."""
        return [each for each in self._feeds.values() if not each.is_over]

    def waiting_size_bytes(self) -> Counter[int]:
        """Return the size of the records whose graphs wait, by partition."""
        found: Counter[int] = Counter()
        for each in self._queues.values():
            if each.waits_for and each.partition is not None:
                found[each.partition.number] += each.held_size_bytes
        return found

    def _feed(self, record: IngestRecord) -> Feed:
        feed = self._feeds.get(record.job_id)
        if feed is None:
            feed = self._feeds[record.job_id] = Feed(record)
            self._forget_oldest()
        self._feeds.move_to_end(record.job_id)
        return feed

    def _forget_oldest(self) -> None:
        """Forget the feed of which nothing came for the longest time, when there are too many. One with records stays,
        and counts as new: what is held is bounded, and so are these. Two are looked at: so they get fewer again.
        """
        for _ in range(min(2, len(self._feeds) - _FEEDS_KEPT)):
            job_id, oldest = self._feeds.popitem(last=False)
            if oldest.held_count or self._progress.has_to_say(oldest):
                self._feeds[job_id] = oldest

    # Whose turn it is

    def _enter(self, key: _Key) -> None:
        self._ready.setdefault(key[0], deque()).append(key)
        self._work.set()

    def _pick(self) -> tuple[_Key, GraphFeeds] | None:
        """Take the next graph whose shard has room; those without are put aside until it has."""
        for _ in range(len(self._ready)):
            tenant, keys = self._ready.popitem(last=False)
            while keys:
                key = keys.popleft()
                queue = self._queues[key]
                if queue.shard is not None and self._at_shard[queue.shard] >= self._shard_batches_max:
                    self._for_shard.setdefault(queue.shard, deque()).append(key)
                    continue
                if keys:
                    self._ready[tenant] = keys  # at the end: the other tenants come first
                return key, queue
        return None

    # Sending

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(self._batches_max):
                group.create_task(self._send_on())

    def drain(self) -> None:
        """Send nothing more."""
        self._is_draining = True

    async def _send_on(self) -> None:
        while not self._is_draining:
            await self._progress.room.wait()
            if (picked := self._pick()) is None:
                self._work.clear()
                await self._work.wait()
                continue
            await self._send(*picked)

    async def _send(self, key: _Key, queue: GraphFeeds) -> None:
        shard = queue.shard = await self._shard_of(key)
        if shard is not None:
            if self._at_shard[shard] >= self._shard_batches_max:
                self._for_shard.setdefault(shard, deque()).append(key)
                return
            self._at_shard[shard] += 1
        self.in_flight += 1
        wants = Next.PAUSE
        try:
            wants = await queue.step()
            self._rounds.succeeded()
        except Exception as error:  # Argosy's own fault: said, and tried again as what is away
            self._rounds.failed(error, graph=key[1])
            queue.delay_s = self._rounds.delay_s
        finally:
            self.in_flight -= 1
            if shard is not None:
                self._leave_shard(shard)
        self._put(key, queue, wants)

    def _put(self, key: _Key, queue: GraphFeeds, wants: Next) -> None:
        if wants is Next.PAUSE:
            self._pausing[key] = asyncio.get_running_loop().call_later(queue.delay_s, self._go_on, key)
        elif wants is Next.NOTE:
            self._for_note.add(key)
        elif not queue.is_empty:
            self._enter(key)
        else:
            self._placed.discard(key)
            del self._queues[key]

    def _go_on(self, key: _Key) -> None:
        del self._pausing[key]
        self._enter(key)

    def _leave_shard(self, shard: uuid.UUID) -> None:
        self._at_shard[shard] -= 1
        if waiting := self._for_shard.get(shard):
            self._enter(waiting.popleft())
        if not self._for_shard.get(shard):
            self._for_shard.pop(shard, None)
        if not self._at_shard[shard]:
            del self._at_shard[shard]

    async def _shard_of(self, key: _Key) -> uuid.UUID | None:
        """Return where the graph is, as far as is known: the call itself looks again."""
        try:
            return (await self._graphs.find(key[0], key[1])).shard
        except ArgosyError:
            return None

    def close(self) -> None:
        for handle in self._pausing.values():
            handle.cancel()
        telemetry.INGEST_HELD_BYTES.set(0)
