"""The topics that Argosy has in the log: what an adapter must know of each.

Two are Argosy's own: the turns of a lane, and what is ingested into graphs, which belongs to no lane. The others are
foreign: somebody else makes them, writes them and decides how long they keep what; Argosy reads them and changes
nothing of them.
"""

from typing import Final, NamedTuple

from argosy.config import Settings
from argosy.ingest.job import LANE

_DEFAULT_MESSAGE_BYTES: Final = 1_000_000  # librdkafka's own default
_OVERHEAD_BYTES: Final = 65_536  # what a record has beside its content: key, headers, names, tags
# Records of ingest are large: what is read at once, and ahead, stays small beside what is held.
_INGEST_BATCH_MAX: Final = 8
_INGEST_READ_AHEAD_SIZE_BYTES: Final = 2_097_152
_READ_AHEAD_SIZE_BYTES: Final = 4_194_304  # of a foreign topic: it is thrown away whenever the graph is slower


class Wording(NamedTuple):
    """How messages for people speak of a topic: what its records are, and the settings that name it, count its
    partitions and bound its records.
    """

    records: str
    name_setting: str
    count_setting: str = ""
    size_setting: str = ""


class Topic(NamedTuple):
    """One topic of the log.

    group: its readers. partition_count: what it is made with. message_size_bytes_max: its largest record. batch_max,
    batch_size_bytes_max: what is read at once, at the most (beyond the last record). read_ahead_size_bytes_max: what a
    Kafka client fetches before it is asked. is_ours: Argosy makes, checks and trims it.
    """

    name: str
    group: str
    partition_count: int
    message_size_bytes_max: int
    batch_max: int
    batch_size_bytes_max: int
    read_ahead_size_bytes_max: int
    wording: Wording
    is_ours: bool = True

    @property
    def absence(self) -> str:
        """One line for people: the topic is not there, and what makes it."""
        if self.is_ours:
            return f"the topic {self.name} does not exist: run `argosy topics`"
        return f"the topic {self.name}, which {self.wording.name_setting} names, does not exist"

    def other_count(self, count: int) -> str:
        """Return one line for people: the topic has this many partitions, and the settings want others."""
        return (
            f"the topic {self.name} has {count} partitions, {self.wording.count_setting} is {self.partition_count}:"
            f" set it to {count} (the number is fixed when a topic is made;"
            f" another {self.wording.name_setting} begins a new one)"
        )


def turns_topic(settings: Settings) -> Topic:
    """Return the topic of the lane's turns."""
    return Topic(
        name=settings.topic,
        group=f"{settings.kafka_group}.{settings.lane}",
        partition_count=settings.agent_turns_partitions,
        message_size_bytes_max=max(_DEFAULT_MESSAGE_BYTES, settings.payload_size_bytes_max + _OVERHEAD_BYTES),
        batch_max=settings.log_batch_max,
        batch_size_bytes_max=settings.log_batch_size_bytes_max,
        read_ahead_size_bytes_max=settings.log_read_ahead_size_bytes_max,
        wording=Wording("turns", "KAFKA_TOPIC_PREFIX", "AGENT_TURNS_PARTITIONS", "PAYLOAD_SIZE_BYTES_MAX"),
    )


def ingest_topic(settings: Settings) -> Topic:
    """Return the topic of what is ingested. Its largest record is a full one and one more line."""
    size_bytes_max = settings.ingest_record_size_bytes + settings.ingest_line_size_bytes_max + _OVERHEAD_BYTES
    return Topic(
        name=settings.ingest_topic,
        group=settings.kafka_ingest_group,
        partition_count=settings.kg_tasks_partitions,
        message_size_bytes_max=max(_DEFAULT_MESSAGE_BYTES, size_bytes_max),
        batch_max=min(_INGEST_BATCH_MAX, settings.log_batch_max),
        batch_size_bytes_max=settings.log_batch_size_bytes_max,
        read_ahead_size_bytes_max=min(_INGEST_READ_AHEAD_SIZE_BYTES, settings.log_read_ahead_size_bytes_max),
        wording=Wording("ingested lines", "INGEST_TOPIC", "KG_TASKS_PARTITIONS", "INGEST_LINE_SIZE_BYTES_MAX"),
    )


def foreign_topic(settings: Settings, name: str) -> Topic:
    """Return a topic of others that INGEST_TOPICS names."""
    return Topic(
        name=name,
        group=f"{settings.kafka_ingest_group}.{name}",
        partition_count=0,
        message_size_bytes_max=0,
        batch_max=settings.log_batch_max,
        batch_size_bytes_max=settings.log_batch_size_bytes_max,
        read_ahead_size_bytes_max=min(_READ_AHEAD_SIZE_BYTES, settings.log_read_ahead_size_bytes_max),
        wording=Wording("records", "INGEST_TOPICS"),
        is_ours=False,
    )


def topic_of_lane(settings: Settings, lane: str) -> Topic:
    """Return the topic whose positions are written down under this lane."""
    if lane == LANE:
        return ingest_topic(settings)
    return turns_topic(settings.model_copy(update={"lane": lane}))
