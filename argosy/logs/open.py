"""Which log it is: the one place that knows both adapters. Each is imported only when it is the one.
Raises SettingError when it is Kafka and argosy[kafka] is not installed.

dsn: the Postgres of the Postgres log; unused by Kafka.
"""

from argosy.clock import Clock, SystemClock
from argosy.config import Settings
from argosy.extras import needed
from argosy.log import LogAdmin, LogReader, LogWriter, Recovery


async def open_writer(settings: Settings, dsn: str, clock: Clock | None = None) -> LogWriter:
    """A writer for the lane's topic. Raises LogUnavailableError, or SettingError when the topic is not there."""
    if settings.log_backend == "kafka":
        with needed():
            from argosy.logs.kafka_writer import KafkaWriter

        return await KafkaWriter.open(settings, clock or SystemClock())
    from argosy.logs.postgres_writer import PostgresWriter

    return await PostgresWriter.open(settings, dsn, clock or SystemClock())


def open_reader(settings: Settings, dsn: str, clock: Clock | None = None) -> LogReader:
    """A reader of the lane's topic; it does nothing before its `open`."""
    if settings.log_backend == "kafka":
        with needed():
            from argosy.logs.kafka_reader import KafkaReader

        return KafkaReader(settings, clock or SystemClock())
    from argosy.logs.postgres_reader import PostgresReader

    return PostgresReader(settings, dsn, clock or SystemClock())


def open_admin(settings: Settings, dsn: str, clock: Clock | None = None) -> LogAdmin:
    """Creates, checks and trims the lane's topic; it connects when it is asked something."""
    if settings.log_backend == "kafka":
        with needed():
            from argosy.logs.kafka_admin import KafkaAdmin

        return KafkaAdmin(settings, clock or SystemClock())
    from argosy.logs.postgres_admin import PostgresAdmin

    return PostgresAdmin(settings, dsn)


async def recovery(settings: Settings, dsn: str) -> Recovery:
    """What the log does about a worker that is gone, after the settings were tried on it. Raises SettingError."""
    admin = open_admin(settings, dsn)
    try:
        return await admin.recovery()
    finally:
        await admin.close()


async def ensure(settings: Settings, dsn: str) -> list[str]:
    """Create the lane's topic, or check it: what `argosy topics` does. Returns warnings in plain words.

    Raises SettingError, LogUnavailableError.
    """
    admin = open_admin(settings, dsn)
    try:
        return await admin.ensure_topic()
    finally:
        await admin.close()
