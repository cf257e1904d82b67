"""Create, check and trim a Kafka topic."""

from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from argosy.clock import Clock
from argosy.config import Settings
from argosy.errors import LogUnavailableError, SettingError
from argosy.log import Fence, Held, Identity, Recovery
from argosy.logs.brokers_missing import BrokersMissingError
from argosy.logs.kafka_config import Refusals, admin_config, code_of, reason_of
from argosy.logs.kafka_group import KafkaGroup, how_to_lower
from argosy.logs.kafka_metadata import REQUEST_TIMEOUT_S, KafkaMetadata, answer, known_answer
from argosy.logs.topic import Topic

_REPLICATION_WANTED: Final = 3  # one broker may be lost, and two replicas still take every record
_REFUSALS: Final = (KafkaError.POLICY_VIOLATION, KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.INVALID_CONFIG)


class KafkaAdmin:
    """LogAdmin (argosy/log.py) for a Kafka topic."""

    def __init__(self, settings: Settings, topic: Topic, clock: Clock) -> None:
        self._settings = settings
        self._topic = topic
        self._clock = clock
        self._metadata = KafkaMetadata(settings, topic, clock)
        self._refusals = Refusals()
        self._admin = AdminClient(admin_config(settings) | {"error_cb": self._refusals.note})

    async def ensure_topic(self) -> list[str]:
        try:
            cluster = await answer(self._admin.describe_cluster(request_timeout=REQUEST_TIMEOUT_S))
            broker_count = len(cluster.nodes)
            topic = await self._metadata.describe()
            if topic is None:
                await self._create(broker_count)
                topic = await self._wait_visible()
            return self._check(topic, await self._read_config(), broker_count)
        except (KafkaException, TimeoutError) as error:
            raise self._refusals.unavailable(self._admin, error) from error

    async def warnings(self) -> list[str]:
        """Return warnings about the topic in plain words; none when it does not exist. Raises LogUnavailableError."""
        try:
            cluster = await answer(self._admin.describe_cluster(request_timeout=REQUEST_TIMEOUT_S))
            topic = await self._metadata.first()
            return [] if topic is None else self._warnings(topic, await self._read_config(), len(cluster.nodes))
        except (KafkaException, TimeoutError) as error:
            raise self._refusals.unavailable(self._admin, error) from error

    async def kept_s(self) -> float | None:
        """Return for how many seconds the topic keeps a record, accepted or not (retention.ms).

        None when the topic keeps records until they are trimmed. Raises LogUnavailableError.
        """
        try:
            kept_ms = int((await self._read_config()).get("retention.ms", "-1"))
        except (KafkaException, TimeoutError) as error:
            raise self._refusals.unavailable(self._admin, error) from error
        return None if kept_ms < 0 else kept_ms / 1000

    async def recovery(self) -> Recovery:
        group = KafkaGroup(self._settings, self._topic.group)
        found = await group.set_timing()
        return Recovery(found and found.session_timeout_ms / 1000, how_to_lower(group.settings, found))

    async def identity(self) -> Identity:
        return await self._metadata.identity()

    async def trim(self, partition: int, position: int, fence: Fence | None = None) -> bool:
        """Delete the records before `position`; always returns True.

        A request to delete has the topic's name and not its id, so the id is compared right before it is sent: of a
        topic that was made again, nothing may have been accepted.
        """
        if fence is not None and str((await self._describe()).topic_id) != fence.topic_id:
            return True
        future = self._admin.delete_records(
            [TopicPartition(self._topic.name, partition, position)], request_timeout=REQUEST_TIMEOUT_S
        )
        try:
            for each in future.values():
                await answer(each)
        except (KafkaException, TimeoutError) as error:
            raise self._refusals.unavailable(self._admin, error) from error
        return True

    async def held(self) -> Held:
        """Count the topic's records. size_bytes is None: the Kafka client cannot ask for the size of log folders."""
        topic = await self._describe()
        spans = await self._metadata.spans([each.id for each in topic.partitions])
        return Held(sum(span.end - span.begin for span in spans.values()), None)

    async def close(self) -> None:
        """Do nothing: the client has nothing to wait for."""

    async def _describe(self) -> Any:
        topic = await self._metadata.describe()
        if topic is None:
            raise LogUnavailableError(f"the topic {self._topic.name} does not exist")
        return topic

    async def _create(self, broker_count: int) -> None:
        replication = self._settings.kafka_replication or min(_REPLICATION_WANTED, broker_count)
        if replication > broker_count:
            raise BrokersMissingError(f"KAFKA_REPLICATION={replication}, but the cluster has {broker_count} brokers")
        config = {"retention.ms": "-1", "retention.bytes": "-1", "cleanup.policy": "delete"}
        config["max.message.bytes"] = str(self._topic.message_size_bytes_max + 65_536)
        if replication >= _REPLICATION_WANTED:
            config["min.insync.replicas"] = "2"
        topic = NewTopic(self._topic.name, self._topic.partition_count, replication, config=config)
        try:
            await answer(self._admin.create_topics([topic], request_timeout=REQUEST_TIMEOUT_S)[topic.topic])
        except KafkaException as error:
            if code_of(error) == KafkaError.TOPIC_ALREADY_EXISTS:  # another process created it first
                return
            if code_of(error) in _REFUSALS:
                raise SettingError(
                    f"the brokers refuse to create the topic {self._topic.name}: {reason_of(error)}"
                ) from error
            raise

    async def _wait_visible(self) -> Any:
        """Return the new topic once a broker knows it and every partition has a leader.

        Both take a moment after the creation. Raises LogUnavailableError after KAFKA_TOPIC_VISIBLE_S.
        """
        deadline_s = self._clock.monotonic_s() + self._settings.kafka_topic_visible_s
        while True:
            topic = await self._metadata.describe()
            if topic is not None and all(each.leader is not None for each in topic.partitions):
                return topic
            if self._clock.monotonic_s() > deadline_s:
                raise LogUnavailableError(f"the topic {self._topic.name} was created but has no leaders yet: try again")
            await self._clock.sleep(0.1)

    async def _read_config(self) -> dict[str, str]:
        """Return the topic's configuration, asking again for KAFKA_TOPIC_VISIBLE_S.

        The broker that answers may be another one than the broker that described the topic, and may not know the topic
        yet.
        """
        entries = await known_answer(self._ask_config, self._clock, self._settings.kafka_topic_visible_s)
        return {name: entry.value for name, entry in entries.items()}

    async def _ask_config(self) -> dict[str, Any]:
        resource = ConfigResource(ResourceType.TOPIC, self._topic.name)
        futures = self._admin.describe_configs([resource], request_timeout=REQUEST_TIMEOUT_S)
        entries: dict[str, Any] = await answer(futures[resource])
        return entries

    def _check(self, topic: Any, config: dict[str, str], broker_count: int) -> list[str]:
        """Return warnings about an existing topic. Raises SettingError when it contradicts the settings."""
        name, count, wording = self._topic.name, len(topic.partitions), self._topic.wording
        if count != self._topic.partition_count:
            raise SettingError(self._topic.other_count(count))
        if "compact" in config.get("cleanup.policy", ""):
            raise SettingError(
                f"the topic {name} is compacted, which deletes {wording.records}: set its cleanup.policy to delete"
            )
        return self._warnings(topic, config, broker_count)

    def _warnings(self, topic: Any, config: dict[str, str], broker_count: int) -> list[str]:
        warnings, wording = [], self._topic.wording
        replication = min(len(each.replicas) for each in topic.partitions)
        if replication == 1 and broker_count > 1:
            warnings.append(
                f"one replica on a cluster of {broker_count} brokers: {wording.records} are lost when a broker is lost"
            )
        elif replication >= _REPLICATION_WANTED and int(config.get("min.insync.replicas", "1")) < 2:
            warnings.append(
                f"min.insync.replicas is 1: accepted {wording.records} may be lost when a broker is lost; set it to 2"
            )
        kept_ms, kept_bytes = config.get("retention.ms", "-1"), config.get("retention.bytes", "-1")
        if kept_ms != "-1" or kept_bytes != "-1":
            warnings.append(
                f"records are kept for retention.ms={kept_ms}, retention.bytes={kept_bytes}:"
                f" {wording.records} that no worker reads in time are lost; set both to -1"
            )
        size_max = self._topic.message_size_bytes_max
        if int(config.get("max.message.bytes", str(size_max))) < size_max:
            warnings.append(
                f"max.message.bytes is {config['max.message.bytes']}: {wording.size_setting} needs {size_max}"
            )
        return [f"topic {self._topic.name}: {warning}" for warning in warnings]
