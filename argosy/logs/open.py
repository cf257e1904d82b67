"""Opens the log that LOG_BACKEND names: the only module that knows both adapters.

Each adapter is imported only when it is the one. Raises SettingError when it is Kafka and argosy[kafka] is not
installed. dsn: the address of the Postgres log's database; unused by Kafka.
"""

from argosy.clock import Clock, SystemClock
from argosy.config import Settings
from argosy.extras import needed
from argosy.log import LogAdmin, LogReader, LogWriter, Recovery


async def open_writer(settings: Settings, dsn: str, clock: Clock | None = None) -> LogWriter:
    """Open a writer for the lane's topic. Raises LogUnavailableError, or SettingError when the topic does not exist."""
    if settings.log_backend == "kafka":
        with needed():
            from argosy.logs.kafka_writer import KafkaWriter

        return await KafkaWriter.open(settings, clock or SystemClock())
    from argosy.logs.postgres_writer import PostgresWriter

    return await PostgresWriter.open(settings, dsn, clock or SystemClock())


def open_reader(settings: Settings, dsn: str, clock: Clock | None = None) -> LogReader:
    """Return a reader of the lane's topic. It does nothing before its `open` is called."""
    if settings.log_backend == "kafka":
        with needed():
            from argosy.logs.kafka_reader import KafkaReader

        return KafkaReader(settings, clock or SystemClock())
    from argosy.logs.postgres_reader import PostgresReader

    return PostgresReader(settings, dsn, clock or SystemClock())


def open_admin(settings: Settings, dsn: str, clock: Clock | None = None) -> LogAdmin:
    """Return what creates, checks and trims the lane's topic. It connects at its first call."""
    if settings.log_backend == "kafka":
        with needed():
            from argosy.logs.kafka_admin import KafkaAdmin

        return KafkaAdmin(settings, clock or SystemClock())
    from argosy.logs.postgres_admin import PostgresAdmin

    return PostgresAdmin(settings, dsn)


async def recovery(settings: Settings, dsn: str) -> Recovery:
    """Set the group's time-out as the settings want it, and return what the log does about a worker that is gone.

    Raises SettingError.
    """
    admin = open_admin(settings, dsn)
    try:
        return await admin.recovery()
    finally:
        await admin.close()


async def ensure(settings: Settings, dsn: str) -> list[str]:
    """Create the lane's topic, or check it, as `argosy topics` does. Returns warnings in plain words.

    Raises SettingError, LogUnavailableError.
    """
    admin = open_admin(settings, dsn)
    try:
        return await admin.ensure_topic()
    finally:
        await admin.close()
