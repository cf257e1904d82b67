"""Create, check and trim a topic of the Postgres log."""

import uuid

from argosy.config import Settings
from argosy.errors import SettingError
from argosy.log import Fence, Held, Identity, Recovery
from argosy.logs.postgres_connection import PostgresConnection
from argosy.logs.topic import Topic
from argosy.store import log as log_store


class PostgresAdmin:
    """LogAdmin (argosy/log.py) for a topic of the Postgres log."""

    def __init__(self, settings: Settings, dsn: str, topic: Topic) -> None:
        self._settings = settings
        self._topic = topic
        self._connection = PostgresConnection(dsn, "argosy log admin", settings.state_db_timeout_s)

    async def ensure_topic(self) -> list[str]:
        """Create the topic, or check its number of partitions.

        Returns no warnings: records are kept until they are trimmed, and are as safe as Postgres is.
        """
        wanted = self._topic.partition_count
        found = await self._connection.call(log_store.make_topic, self._topic.name, wanted)
        if found != wanted:
            raise SettingError(self._topic.other_count(found))
        return []

    async def recovery(self) -> Recovery:
        """Return how long a stopped member keeps its partitions: the lease.

        A member that was killed is out at once, because its lock is free.
        """
        return Recovery(self._settings.log_lease_ttl_s)

    async def identity(self) -> Identity:
        found = await self._connection.call(log_store.get_identity, self._topic.name)
        if found is None:
            raise SettingError(self._topic.absence)
        return Identity(str(found[0]), str(found[1]), found[2])

    async def trim(self, partition: int, position: int, fence: Fence | None = None) -> bool:
        if fence is None:
            return await self._connection.call(log_store.trim, self._topic.name, partition, position)
        return await self._connection.call(
            log_store.trim_as, fence.role, fence.term, uuid.UUID(fence.topic_id), partition, position
        )

    async def held(self) -> Held:
        return Held(*await self._connection.call(log_store.measure, self._topic.name))

    async def close(self) -> None:
        self._connection.terminate()
