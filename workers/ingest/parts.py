"""Make the parts of an ingest worker, and connect them to each other. Nothing is decided here."""

from argosy.clock import Clock
from argosy.config import Settings
from argosy.consuming.log_guard import LogGuard
from argosy.logs.topic import ingest_topic
from argosy.workers.ingest.graph_life import GraphLives
from argosy.workers.ingest.intake import Intake
from argosy.workers.ingest.job_watch import JobWatch
from argosy.workers.ingest.loading import Loading
from argosy.workers.ingest.outside import Outside
from argosy.workers.ingest.progress import Progress


class Parts:
    """The parts of one worker."""

    def __init__(self, settings: Settings, outside: Outside, clock: Clock) -> None:
        self.guard = LogGuard(
            outside.reader,
            outside.lane_logs,
            clock,
            worker_id=outside.worker_id,
            topic=ingest_topic(settings),
            ttl_s=settings.heartbeat_ttl_s,
        )
        lives = GraphLives(outside.directory, outside.graphs, outside.jobs)
        self.progress = Progress(outside.notes, outside.reader, clock)
        self.loading = Loading(outside.graphs, outside.jobs, lives, self.progress, clock, settings)
        self.intake = Intake(outside.reader, outside.notes, self.guard, self.progress, self.loading, clock, settings)
        self.watch = JobWatch(outside.jobs, outside.notes, self.intake, self.loading, clock)
