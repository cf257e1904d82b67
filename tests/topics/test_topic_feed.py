"""What the reading of a topic does when its graph's shard answers with errors."""

import asyncio
import uuid
from typing import Any

import pytest

from argosy.clock import SystemClock
from argosy.errors import GraphFileError, GraphNotFoundError, InternalError, ShardUnavailableError
from argosy.graph.facts import Source
from argosy.ingest.job import JobState, WaitsFor
from argosy.store.ingest import JobRow
from argosy.store.ingest_notes import JobNote, Note, Noted
from argosy.workers.ingest.topics.topic_feed import TopicFeed
from argosy.workers.ingest.topics.topic_notes import TopicNotes


class Failing:
    """A graph whose shard fails, and which is gone then."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = [*errors, GraphNotFoundError("gone")]

    async def ingest(self, batch: object) -> None:
        raise self._errors.pop(0)


class Heard:
    def __init__(self) -> None:
        self.said: list[WaitsFor] = []

    def waits(self, partition: int, what: WaitsFor) -> None:
        self.said.append(what)


@pytest.mark.parametrize(
    ("error", "waits_for"),
    [
        (ShardUnavailableError("away"), WaitsFor.SHARD),
        (GraphFileError("broken"), WaitsFor.OPERATOR),
        (InternalError("a bug"), WaitsFor.OPERATOR),
    ],
)
async def test_it_goes_on_asking_and_says_who_has_to_do_something(error: Exception, waits_for: WaitsFor) -> None:
    heard = Heard()
    made: tuple[Any, ...] = (Failing(error, error), heard, Source(step_key="s"), asyncio.Semaphore(1), SystemClock())
    feed = TopicFeed(0, "topic/log/0", *made)

    with pytest.raises(GraphNotFoundError):
        await feed.begin()

    assert heard.said == [waits_for, waits_for]


class Said:
    """Notes that are said, of a topic with one partition."""

    def __init__(self) -> None:
        self.jobs: list[JobNote] = []

    async def open_positions(self, begins: dict[int, int]) -> dict[int, int]:
        return begins

    async def say(self, note: Note) -> Noted:
        self.jobs += note.jobs
        return Noted({}, {each.job_id: JobState.RUNNING for each in note.jobs})


class Uncounted:
    async def feeds(self, names: object) -> None:
        raise InternalError("a bug")


async def test_what_cannot_be_counted_is_said_without_and_ends_no_reading() -> None:
    said = Said()
    row = JobRow(*[None] * len(JobRow._fields))._replace(job_id=uuid.uuid4(), log_id="cluster/topic")  # type: ignore[arg-type]
    made: tuple[Any, ...] = (said, None, row, Uncounted(), SystemClock())
    notes = TopicNotes(*made)
    await notes.open({0: 0})
    notes.waits(0, WaitsFor.OPERATOR)

    assert await notes.say() is JobState.RUNNING
    assert [(each.next_line, each.waits_for) for each in said.jobs] == [(None, WaitsFor.OPERATOR)]
