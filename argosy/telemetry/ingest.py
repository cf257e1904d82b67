"""What ingest workers count: uploads, and topics of others."""

from typing import Final

from argosy.telemetry.room import Room

_ROOM: Final = Room("Ingest workers")

INGEST_LINES = _ROOM.counter("argosy_ingest_lines", "Lines that graphs' files answered for, by outcome", ["outcome"])
INGEST_RECORDS = _ROOM.counter("argosy_ingest_records", "Records of lines, by what became of them", ["fate"])
INGEST_BATCH_S = _ROOM.histogram("argosy_ingest_batch_seconds", "Time of one batch at a shard")
INGEST_HELD_BYTES = _ROOM.gauge("argosy_ingest_held_size_bytes", "Size of the records that were read and are not done")
INGEST_PARTITIONS_PAUSED = _ROOM.gauge("argosy_ingest_partitions_paused", "Partitions that wait for graphs that wait")
INGEST_LAG = _ROOM.gauge("argosy_ingest_lag", "Records of ingest that are not done", ["partition"])
INGEST_JOBS_ENDED = _ROOM.counter(
    "argosy_ingest_jobs_ended", "Ends of jobs that this worker found out, by state", ["state"]
)
TOPIC_LAG = _ROOM.gauge("argosy_ingest_topic_lag", "Records that are not in the graph yet", ["topic", "partition"])
TOPIC_RECORDS = _ROOM.counter("argosy_ingest_topic_records", "Records that are in the graph now", ["topic"])
