"""How soon Kafka takes a worker that was killed out of its group.

Rules (`wanted_timing` and `how_to_lower`, both pure):
- KAFKA_GROUP_SESSION_TIMEOUT_MS and KAFKA_GROUP_HEARTBEAT_MS are set on the group, within the bounds that the brokers
  set for every group. What the brokers do not allow is reported, with the names of the broker settings to change.
- Argosy works without it: without the right to read or to set the group's configuration, the brokers' values hold.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from confluent_kafka import ConsumerGroupState, KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from argosy.config import Settings
from argosy.logs.kafka_config import admin_config, code_of, unavailable
from argosy.logs.kafka_metadata import REQUEST_TIMEOUT_S, answer

_TIMEOUT: Final = "consumer.session.timeout.ms"
_MEMBER_TIMEOUT_S: Final = 2.0  # short: a worker that waits for its first partitions asks again and again
_HEARTBEAT: Final = "consumer.heartbeat.interval.ms"


class Timing(NamedTuple):
    """Timing of a group, in ms. session_timeout_ms: a member that is silent for so long is out of the group."""

    session_timeout_ms: int
    heartbeat_ms: int


def wanted_timing(settings: Timing, broker: Mapping[str, str]) -> Timing:
    """Return the timing to set on the group: the settings, within the brokers' bounds.

    broker: the broker's configuration, or empty when it cannot be read.
    """

    def within(value_ms: int, name: str) -> int:
        lowest, highest = broker.get(f"group.consumer.min.{name}"), broker.get(f"group.consumer.max.{name}")
        value_ms = max(value_ms, int(lowest)) if lowest else value_ms
        return min(value_ms, int(highest)) if highest else value_ms

    timeout_ms = within(settings.session_timeout_ms, "session.timeout.ms")
    return Timing(timeout_ms, min(within(settings.heartbeat_ms, "heartbeat.interval.ms"), timeout_ms - 1))


def how_to_lower(settings: Timing, found: Timing | None) -> str:
    """Return why the group's session time-out is longer than the settings want, and what to do.

    Empty when it is not longer.
    """
    if found is None:
        return (
            "it cannot be read: the brokers are older than 4.0, or this user may not describe the group's"
            " configuration; a stock broker's is 45 s"
        )
    if found.session_timeout_ms <= settings.session_timeout_ms:
        return ""
    return (
        f"the settings want {settings.session_timeout_ms / 1000:g} s: let the brokers allow it with"
        f" group.consumer.min.session.timeout.ms={settings.session_timeout_ms} and"
        f" group.consumer.min.heartbeat.interval.ms={settings.heartbeat_ms}, and this user alter the group's"
        " configuration (ALTER_CONFIGS on the group)"
    )


class KafkaGroup:
    """The consumer group of one kind of workers."""

    def __init__(self, settings: Settings, name: str) -> None:
        self.name = name
        self.settings = Timing(settings.kafka_group_session_timeout_ms, settings.kafka_group_heartbeat_ms)
        self._admin = AdminClient(admin_config(settings))

    async def set_timing(self) -> Timing | None:
        """Try once to set the group's timing as the settings want it, and return the timing that holds then.

        None when the group's configuration cannot be read. Raises nothing when Kafka fails.
        """
        found = await self._find()
        if found in (None, self.settings):
            return found
        wanted = wanted_timing(self.settings, await self._broker_settings())
        if found == wanted:
            return found
        entries = [
            ConfigEntry(name, str(value_ms), incremental_operation=AlterConfigOpType.SET)
            for name, value_ms in zip((_TIMEOUT, _HEARTBEAT), wanted, strict=True)
        ]
        group = ConfigResource(ResourceType.GROUP, self.name, incremental_configs=entries)
        try:
            await answer(self._admin.incremental_alter_configs([group], request_timeout=REQUEST_TIMEOUT_S)[group])
        except (KafkaException, TimeoutError):
            return found
        return wanted

    async def gives_nothing_to(self, member_id: str) -> bool:
        """Whether `member_id` is a member and the brokers have decided that other members get every partition.

        No broker tells a client so, hence the question. False while partitions change hands. Raises
        LogUnavailableError.
        """
        try:
            futures = self._admin.describe_consumer_groups([self.name], request_timeout=_MEMBER_TIMEOUT_S)
            group = await answer(futures[self.name], _MEMBER_TIMEOUT_S)
        except (KafkaException, TimeoutError) as error:
            if code_of(error) == KafkaError.GROUP_ID_NOT_FOUND:
                return False
            raise unavailable(error) from error
        if group.state is not ConsumerGroupState.STABLE:  # STABLE: decided, and every member has its partitions
            return False
        wanted = [each.target_assignment for each in group.members if each.member_id == member_id]
        return any(each is not None and not each.topic_partitions for each in wanted)

    async def _find(self) -> Timing | None:
        """Return the timing that holds for the group, its own or the brokers'; None when it cannot be read."""
        try:
            found = await self._describe(ConfigResource(ResourceType.GROUP, self.name))
            return Timing(int(found[_TIMEOUT]), int(found[_HEARTBEAT]))
        except (KafkaException, TimeoutError, KeyError):
            return None

    async def _broker_settings(self) -> dict[str, str]:
        try:
            cluster = await answer(self._admin.describe_cluster(request_timeout=REQUEST_TIMEOUT_S))
            return await self._describe(ConfigResource(ResourceType.BROKER, str(cluster.nodes[0].id)))
        except (KafkaException, TimeoutError, IndexError):
            return {}

    async def _describe(self, resource: Any) -> dict[str, str]:
        futures = self._admin.describe_configs([resource], request_timeout=REQUEST_TIMEOUT_S)
        entries = await answer(futures[resource])
        return {name: entry.value for name, entry in entries.items() if entry.value is not None}
