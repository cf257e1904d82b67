"""All topics of INGEST_TOPICS, each read on its own: one that cannot be read holds up no other."""

import asyncio

from argosy.clock import Clock
from argosy.config import Settings
from argosy.config.topic_sources import TopicSource
from argosy.errors import GraphNameError, SettingError
from argosy.graph.graphs import Graphs
from argosy.graph.names import checked_new, is_own
from argosy.store.pool import Pool
from argosy.workers.ingest.topics.topic_reading import TopicReading


class TopicReadings:
    """Raises SettingError for a mapping that cannot be loaded: loading runs code of the user."""

    def __init__(self, graphs: Graphs, pool: Pool, clock: Clock, settings: Settings) -> None:
        for each in settings.ingest_topics:
            _check_graph(each)
        self._readings = [TopicReading(each, graphs, pool, clock, settings) for each in settings.ingest_topics]

    async def run(self) -> None:
        """Read until cancelled."""
        async with asyncio.TaskGroup() as group:
            for each in self._readings:
                group.create_task(each.run())
            await asyncio.Event().wait()


def _check_graph(source: TopicSource) -> None:
    try:
        checked_new(source.tenant, source.graph)
    except GraphNameError as error:
        raise SettingError(f"INGEST_TOPICS, {source.topic}.graph: {error}") from error
    if is_own(source.graph):
        raise SettingError(f"INGEST_TOPICS, {source.topic}.graph: {source.graph!r} would be a session's own")
