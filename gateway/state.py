"""What the routes of one gateway process share. app.py opens and closes it."""

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

from argosy.clock import Clock
from argosy.config import Settings
from argosy.gateway.catalog import Catalog
from argosy.gateway.enqueue import Enqueue
from argosy.gateway.exports import Exports
from argosy.gateway.identity import Identity
from argosy.gateway.ingest.ingest_log import IngestLog
from argosy.gateway.ingest.job_source import Moved, MovedJobs
from argosy.gateway.ingest.pace import Pace
from argosy.gateway.ingest.uploads import Uploads
from argosy.gateway.log_monitor import LogMonitor
from argosy.gateway.page_cursor import PageCursors
from argosy.gateway.poking import Poking
from argosy.gateway.rate_limit import RateLimit
from argosy.gateway.read_limit import ReadLimit
from argosy.gateway.stream.connections import WorkerConnections
from argosy.gateway.stream.history import MoreEvents, MovedTurns
from argosy.gateway.stream.streams import Streams
from argosy.gateway.tenant_limits.fleet_limits import FleetLimits
from argosy.gateway.together import Together
from argosy.gateway.turn_request import Admission
from argosy.gateway.waiting import Waiting
from argosy.graph.graphs import Graphs
from argosy.log import LogWriter
from argosy.rpc.tls import worker_tls
from argosy.secret import Keys
from argosy.store.inbox import EarlyBounds, UnreadBounds
from argosy.store.ingest import Jobs
from argosy.store.lane_log import LaneLogs
from argosy.store.pool import Pool

# Tokens that one tenant (or the installation) may make and rotate: nobody needs more, and each is a row.
_TOKENS_RATE: Final = 10 / 60
_TOKENS_BURST: Final = 10.0


@dataclass(frozen=True, slots=True)
class State:
    """The parts of one gateway process that its routes use."""

    settings: Settings
    clock: Clock
    pool: Pool
    writer: LogWriter
    log_monitor: LogMonitor
    catalog: Catalog
    poking: Poking
    connections: WorkerConnections
    more_events: MoreEvents
    streams: Streams
    graphs: Graphs
    exports: Exports
    jobs: Jobs
    moved_jobs: MovedJobs
    ingest_log: IngestLog
    uploads: Uploads
    waiting: Waiting
    admission: Admission
    enqueue: Enqueue
    limits: FleetLimits
    read_limit: ReadLimit
    token_rate_limit: RateLimit
    cursors: PageCursors
    places_key: bytes
    places_key_previous: bytes | None
    identity: Identity

    @property
    def unread_bounds(self) -> UnreadBounds:
        """The bounds of the signals that one turn has not taken yet."""
        return UnreadBounds(self.settings.signals_unread_max, self.settings.signals_unread_size_bytes_max)

    @property
    def early_bounds(self) -> EarlyBounds:
        """The bounds of what a tenant sends to turns that are not accepted."""
        return EarlyBounds(self.settings.signals_early_max, self.settings.signals_early_size_bytes_max)

    def drain(self) -> None:
        """End event streams, uploads and waiting requests, because this process is about to end. Returns at once.

        Their clients go on at another gateway.
        """
        self.streams.drain()
        self.uploads.drain()
        self.waiting.drain()


def make_state(
    settings: Settings, clock: Clock, pool: Pool, writer: LogWriter, keys: Keys, graphs: Graphs, *, is_private: bool
) -> State:
    """Compose the state; open nothing. is_private: see gateway.authenticate.Authenticator."""
    read_timeout_s = min(settings.state_db_timeout_s, 2.0)
    catalog = Catalog(pool, settings.lane, settings.gateway_cache_s, read_timeout_s, clock)
    tls = worker_tls(settings)
    poking = Poking(keys.calls, settings.lane, clock, catalog, writer.partition_count, tls)
    log_monitor = LogMonitor(writer, LaneLogs(pool, settings.lane), settings.topic, settings.heartbeat_ttl_s, clock)
    jobs = Jobs(pool, settings.heartbeat_ttl_s)
    connections = WorkerConnections(catalog, keys.calls, clock, settings.stream_credit_size_bytes, tls)
    identity = Identity(settings, pool, read_timeout_s, clock, login_keys(keys), is_private=is_private)
    limits = FleetLimits(settings, pool, identity.cache, read_timeout_s, clock)
    return State(
        settings=settings,
        clock=clock,
        pool=pool,
        writer=writer,
        log_monitor=log_monitor,
        catalog=catalog,
        poking=poking,
        connections=connections,
        more_events=Together(MovedTurns(pool)),
        streams=Streams(settings.gateway_streams_max, limits),
        graphs=graphs,
        exports=Exports(settings.gateway_tenant_exports_max),
        jobs=jobs,
        moved_jobs=Together(Moved(jobs)),
        ingest_log=IngestLog(settings, pool, clock),
        uploads=Uploads(
            settings.ingest_uploads_max,
            settings.ingest_tenant_uploads_max,
            settings.ingest_whole_size_bytes_max,
            settings.ingest_tenant_whole_ratio_max,
            Pace(settings.ingest_uploads_time_ratio_max, clock),
        ),
        waiting=Waiting(pool, settings.lane, connections, writer.partition_count),
        admission=Admission(settings, clock, writer.partition_count),
        enqueue=Enqueue(settings, writer, log_monitor, pool, catalog, poking, clock),
        limits=limits,
        read_limit=ReadLimit(settings.gateway_read_rate_limit, clock),
        token_rate_limit=RateLimit(_TOKENS_RATE, _TOKENS_BURST, clock, tenants_max=settings.gateway_tenants_max),
        cursors=PageCursors(keys.cursors, keys.previous and keys.previous.cursors),
        places_key=keys.places,
        places_key_previous=keys.previous and keys.previous.places,
        identity=identity,
    )


def login_keys(keys: Keys) -> list[bytes]:
    """Return the keys of sign-ins that were begun: the first makes, all prove."""
    return [keys.logins, *([keys.previous.logins] if keys.previous else [])]


def state_of(request: Request) -> State:
    """Return the state of the process that answers a request."""
    state: State = request.app.state.gateway
    return state
