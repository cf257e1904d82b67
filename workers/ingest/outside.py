"""What an ingest worker has of the outside: the log, Postgres and the shards."""

import uuid
from typing import NamedTuple

from argosy.clock import Clock
from argosy.config import Settings
from argosy.graph.graphs import Graphs
from argosy.ingest.job import LANE
from argosy.log import LogReader
from argosy.logs.open import macs_of, open_reader
from argosy.logs.topic import ingest_topic
from argosy.record_mac import RecordMacs
from argosy.store.graph import Directory
from argosy.store.ingest import Jobs
from argosy.store.ingest_notes import Notes
from argosy.store.lane_log import LaneLogs
from argosy.store.pool import Pool


class Outside(NamedTuple):
    """The outside of one worker. Tests have a scripted one. macs: None when records of the log have none."""

    worker_id: uuid.UUID
    reader: LogReader
    macs: RecordMacs | None
    jobs: Jobs
    notes: Notes
    lane_logs: LaneLogs
    directory: Directory
    graphs: Graphs


def outside_of(settings: Settings, dsn: str, pool: Pool, graphs: Graphs, clock: Clock) -> Outside:
    """Make the outside of a new worker. Nothing is opened yet."""
    return Outside(
        worker_id=uuid.uuid4(),
        reader=open_reader(settings, dsn, ingest_topic(settings), clock),
        macs=macs_of(settings, ingest_topic(settings)),
        jobs=Jobs(pool),
        notes=Notes(pool, LANE, settings.ingest_rejects_max),
        lane_logs=LaneLogs(pool, LANE),
        directory=Directory(pool),
        graphs=graphs,
    )
