"""Opens the log that LOG_BACKEND names: the only module that knows both adapters.

Each adapter is imported only when it is the one. Raises SettingError when it is Kafka and argosy[kafka] is not
installed. dsn: the address of the Postgres log's database; unused by Kafka.
"""

from argosy.clock import Clock, SystemClock
from argosy.config import Settings
from argosy.extras import needed
from argosy.log import LogAdmin, LogReader, LogWriter, Recovery
from argosy.logs.signed_writer import SignedWriter
from argosy.logs.topic import Topic, ingest_topic, turns_topic
from argosy.record_mac import LogRecords, RecordMacs
from argosy.secret import load_keys


async def open_writer(settings: Settings, dsn: str, topic: Topic, clock: Clock | None = None) -> LogWriter:
    """Open a writer for the topic, whose records have MACs if the settings want it. Raises LogUnavailableError, or
    SettingError when the topic does not exist.
    """
    writer = await _open_writer(settings, dsn, topic, clock)
    macs = macs_of(settings, topic)
    return writer if macs is None else SignedWriter(writer, macs)


def macs_of(settings: Settings, topic: Topic) -> RecordMacs | None:
    """Return what signs and checks records of a topic; None when nothing does. Raises SettingError."""
    mode = LogRecords(settings.record_macs)
    if mode is LogRecords.UNSIGNED:
        return None
    keys = load_keys(
        settings.graph_service_auth_secret, settings.argosy_data_dir, settings.graph_service_auth_secret_previous
    )
    return RecordMacs(topic.name, keys.records, keys.previous and keys.previous.records, mode)


async def _open_writer(settings: Settings, dsn: str, topic: Topic, clock: Clock | None) -> LogWriter:
    if settings.log_backend == "kafka":
        with needed():
            from argosy.logs.kafka_writer import KafkaWriter

        return await KafkaWriter.open(settings, topic, clock or SystemClock())
    from argosy.logs.postgres_writer import PostgresWriter

    return await PostgresWriter.open(settings, dsn, topic, clock or SystemClock())


def open_reader(settings: Settings, dsn: str, topic: Topic, clock: Clock | None = None) -> LogReader:
    """Return a reader of the topic. It does nothing before its `open` is called."""
    if settings.log_backend == "kafka":
        with needed():
            from argosy.logs.kafka_reader import KafkaReader

        return KafkaReader(settings, topic, clock or SystemClock())
    from argosy.logs.postgres_reader import PostgresReader

    return PostgresReader(settings, dsn, topic, clock or SystemClock())


def open_admin(settings: Settings, dsn: str, topic: Topic, clock: Clock | None = None) -> LogAdmin:
    """Return what creates, checks and trims the topic. It connects at its first call."""
    if settings.log_backend == "kafka":
        with needed():
            from argosy.logs.kafka_admin import KafkaAdmin

        return KafkaAdmin(settings, topic, clock or SystemClock())
    from argosy.logs.postgres_admin import PostgresAdmin

    return PostgresAdmin(settings, dsn, topic)


async def recovery(settings: Settings, dsn: str, topic: Topic) -> Recovery:
    """Set the group's time-out as the settings want it, and return what the log does about a worker that is gone.

    Raises SettingError.
    """
    admin = open_admin(settings, dsn, topic)
    try:
        return await admin.recovery()
    finally:
        await admin.close()


async def ensure(settings: Settings, dsn: str) -> list[str]:
    """Create the topics that are Argosy's own, or check them, as `argosy topics` does. Returns warnings in plain words.

    Raises SettingError, LogUnavailableError.
    """
    topics = turns_topic(settings), ingest_topic(settings)
    return [warning for topic in topics for warning in await ensure_topic(settings, dsn, topic)]


async def ensure_topic(settings: Settings, dsn: str, topic: Topic) -> list[str]:
    """Create this topic, or check it. Returns warnings in plain words. Raises SettingError, LogUnavailableError."""
    admin = open_admin(settings, dsn, topic)
    try:
        return await admin.ensure_topic()
    finally:
        await admin.close()
