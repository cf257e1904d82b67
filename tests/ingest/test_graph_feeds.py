"""What a worker does when a graph's shard refuses lines."""

import uuid
from collections.abc import Sequence
from typing import Any

from argosy.clock import SystemClock
from argosy.errors import GraphInputError, InternalError
from argosy.graph.facts import GraphName
from argosy.ingest.chain import EMPTY
from argosy.ingest.job import WaitsFor
from argosy.ingest.record import LinesRecord
from argosy.store.ingest_notes import Verdict
from argosy.workers.ingest.decision import Ending
from argosy.workers.ingest.feed import Feed, Held
from argosy.workers.ingest.graph_feeds import GraphFeeds, Next
from argosy.workers.ingest.partition import Partition

LINES = LinesRecord(uuid.uuid4().bytes, "acme", "crm", uuid.uuid4().bytes, 0, 1, 1, EMPTY, b"{}")


class Broken:
    """A graph whose shard has one answer."""

    name = GraphName("acme", "crm")

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def ingest(self, batch: object) -> None:
        raise self._error


class NoJobEnded:
    async def ended(self, job_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, object]:
        return {}


class Heard:
    """What was said of the job."""

    def __init__(self) -> None:
        self.said: list[object] = []

    def waits(self, feed: Feed, waits_for: WaitsFor) -> None:
        self.said.append(waits_for)

    def ended(self, feed: Feed, ending: Ending) -> None:
        self.said.append(ending.verdict)

    def has_end_to_say(self, feed: Feed) -> bool:
        return False


async def said_after(error: Exception) -> tuple[Next, list[object]]:
    heard = Heard()
    made: tuple[Any, ...] = (Broken(error), NoJobEnded(), None, heard, SystemClock())
    feeds = GraphFeeds(*made, wait_s_max=1.0)
    partition = Partition(0, 0, 1)
    feeds.add(Held(Feed(LINES), LINES, partition, partition.add(0, 10)))
    return await feeds.step(), heard.said


async def test_a_job_outlives_what_goes_wrong_in_argosy_itself_and_says_that_somebody_has_to_look() -> None:
    assert await said_after(InternalError("a bug")) == (Next.PAUSE, [WaitsFor.OPERATOR])


async def test_a_job_fails_whose_lines_a_shard_never_takes() -> None:
    assert await said_after(GraphInputError("too many")) == (Next.STEP, [Verdict.FAILED])
