"""Reads one topic of INGEST_TOPICS for as long as the worker lives: one run after the other."""

import uuid
from typing import Final

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.config import Settings
from argosy.config.topic_sources import TopicSource
from argosy.errors import GraphNotFoundError, OwnershipLostError, SettingError
from argosy.graph.asker import FLEET
from argosy.graph.graphs import Graphs
from argosy.ingest.job import JobKind, JobState, bucket_of_graph, job_id_of, key_of_topic
from argosy.logs.open import open_admin, open_reader
from argosy.logs.topic import foreign_topic
from argosy.rounds import Rounds
from argosy.store.graph import GraphRow
from argosy.store.ingest import JobRow, Jobs, NewJob
from argosy.store.ingest_notes import Notes
from argosy.store.pool import Pool
from argosy.workers.ingest.topics.mapper import Mapper
from argosy.workers.ingest.topics.topic_notes import TopicNotes
from argosy.workers.ingest.topics.topic_run import TopicRun

log = structlog.get_logger()

_BEGINS: Final = {"earliest": "first record", "latest": "end"}
_AGAIN_S: Final = 2.0  # until the next look, while there is nothing to be read


class TopicReading:
    """One topic and its graph. `run` goes on until it is cancelled. Raises SettingError for its mapping.

    - The graph is made when the topic is read into it for the first time. One that was dropped or erased stays so:
      reading goes on when somebody makes it again, from where the source says, as the graph has nothing.
    - A topic that was made again under its name is another one: it is read from where the source says, by a job of its
      own, and the job of the one before ends (`Jobs.end_replaced`).
    - A job that was cancelled stays so; another `run` in INGEST_TOPICS begins one that goes on where it ended. It ends
      one that still runs, of which nobody would say anything any more. Who has the settings of before then waits.
    - A topic that is taken out of INGEST_TOPICS ends nothing: other workers may have it still, or all of them again
      soon. Its job says that nobody reads it (`shown_waits_for`).
    """

    def __init__(self, source: TopicSource, graphs: Graphs, pool: Pool, clock: Clock, settings: Settings) -> None:
        self._source = source
        self._mapper = Mapper(source, settings)
        self._graphs = graphs
        self._pool = pool
        self._jobs = Jobs(pool)
        self._clock = clock
        self._settings = settings
        self._topic = foreign_topic(settings, source.topic)
        self._admin = open_admin(settings, "", self._topic, clock)
        self._said = ""

    async def run(self) -> None:
        rounds = Rounds(f"topic {self._source.topic}", self._clock)
        while True:
            async with rounds:
                try:
                    await self._run_once()
                except (SettingError, GraphNotFoundError) as error:
                    await self._wait(str(error))
                except OwnershipLostError as error:  # the database went back: all is asked and read anew
                    log.warning(telemetry.LINEAGE_CHANGED, topic=self._source.topic, error=str(error))

    async def _run_once(self) -> None:
        source, log_id = self._source, (await self._admin.identity()).log_id
        notes = Notes(self._pool, f"*topic/{source.topic}", self._settings.ingest_rejects_max)
        await notes.begin()  # the lineage before anything else: what is read after it is at least as new
        graph = await self._graph(log_id)
        if graph.is_sealed:
            raise SettingError(f"graph {source.graph!r} is sealed, and no topic is read into it: name another one")
        notes.log_id = f"{log_id}/{graph.incarnation.hex}"  # another life of the graph begins anew
        job = await self._begin_job(graph.incarnation, log_id)
        if job.state is not JobState.RUNNING:
            await self._wait(f"its job {job.job_id} is {job.state}: another `run` begins one that goes on there")
            return
        self._said = ""
        for replaced in await self._jobs.end_replaced(job.job_id):
            telemetry.INGEST_JOBS_ENDED.labels(state=replaced.state).inc()
            if replaced.state is not JobState.FAILED:  # its word in INGEST_TOPICS was changed: that is known
                continue
            about = {"job": str(replaced.job_id), "tenant": replaced.tenant, "graph": replaced.graph}
            log.warning(telemetry.INGEST_JOB_FAILED, **about, code=replaced.code, reason=replaced.reason)
        if await notes.is_made_again(log_id, graph.incarnation):
            words = f"the topic was made again: it is another one, and is read from its {_BEGINS[source.begin]}"
            log.warning(telemetry.TOPIC_MADE_AGAIN, topic=source.topic, graph=source.graph, consequence=words)
        bound = self._graphs.of(source.tenant, source.graph, graph.incarnation, asker=FLEET)
        reader = open_reader(self._settings, "", self._topic, self._clock)
        topic_notes = TopicNotes(notes, self._jobs, job, bound, self._clock)
        await TopicRun(source, bound, self._mapper, topic_notes, reader, self._clock, self._settings).run()

    async def _graph(self, log_id: str) -> GraphRow:
        """Return the graph, which is made if it never was there. Raises GraphNotFoundError for one that was dropped."""
        source = self._source
        try:
            return await self._graphs.find(source.tenant, source.graph)
        except GraphNotFoundError as error:
            if await self._jobs.was_read(source.tenant, source.graph, log_id):
                raise GraphNotFoundError(
                    f"graph {source.graph!r} was dropped, or a graph that the topic was read into was erased: make "
                    f"{source.graph!r} again, or take the topic out of INGEST_TOPICS"
                ) from error
            return await self._graphs.create(source.tenant, source.graph)

    async def _begin_job(self, incarnation: uuid.UUID, log_id: str) -> JobRow:
        tenant, graph = self._source.tenant, self._source.graph
        key = f"topic/{log_id}/{self._source.run}"
        new = NewJob(
            job_id_of(tenant, graph, incarnation, key),
            tenant,
            graph,
            incarnation,
            JobKind.TOPIC,
            bucket_of_graph(tenant, graph),
            key_of_topic(self._source.topic),
        )
        return await self._jobs.begin(new, log_id)

    async def _wait(self, why: str) -> None:
        """Wait a while. Says why, once until that changes."""
        if why != self._said:
            log.error(telemetry.TOPIC_WAITING, topic=self._source.topic, graph=self._source.graph, reason=why)
        self._said = why
        await self._clock.sleep(_AGAIN_S)
