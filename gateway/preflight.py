"""The checks before a gateway starts: if something that its settings name is not there, the start ends with one error.

Later on everything may go away and come back: a running process never stops for that.
"""

import uuid

from argosy import telemetry
from argosy.clock import SystemClock
from argosy.config import Settings
from argosy.errors import LogUnavailableError, SettingError
from argosy.gateway.log_monitor import check_start
from argosy.graph.seed import Seed
from argosy.graph.transports.connect import GrpcConnect
from argosy.logs.open import open_writer
from argosy.logs.topic import turns_topic
from argosy.rpc.tls import worker_tls
from argosy.secret import load_keys
from argosy.store import migrate
from argosy.store import preflight as store_preflight
from argosy.store.graph import Directory
from argosy.store.lane_log import LaneLogs
from argosy.store.patience import when_ready
from argosy.store.pool import open_pool
from argosy.store.sealing import check_masters
from argosy.workflow.embedder import load_embedder
from argosy.workflow.master_keys import load_master_keys

log = telemetry.logger()


async def preflight(settings: Settings) -> None:
    """Return when Postgres, the log and, before they are members, the shards answer and fit this gateway, and what
    EMBEDDER names can be loaded.

    Raises: SettingError, StoreUnavailableError, LogUnavailableError, ShardUnavailableError.
    """
    dsn = settings.state_db_uri
    if not dsn:
        raise SettingError("STATE_DB_URI is not set: name the Postgres that holds the truth, or run `argosy up`")
    load_embedder(settings)
    worker_tls(settings)
    masters = load_master_keys(settings)
    keys = load_keys(settings.graph_service_auth_secret, settings.argosy_data_dir)
    for warning in await store_preflight.check(dsn):
        log.warning(telemetry.STORE_WARNING, warning=warning)
    if missing := await migrate.pending(dsn):
        raise SettingError(f"the database lacks {', '.join(missing)}: run `argosy migrate`")
    try:
        writer = await when_ready(lambda: open_writer(settings, dsn, turns_topic(settings)))
    except LogUnavailableError as error:
        servers = settings.kafka_bootstrap_servers
        where = f"KAFKA_BOOTSTRAP_SERVERS={servers}" if servers else "STATE_DB_URI"
        raise LogUnavailableError(f"{error} ({where})") from error
    await writer.close()
    async with open_pool(settings, dsn) as pool:
        await when_ready(lambda: check_masters(pool, masters))
        lane_logs = LaneLogs(pool, settings.lane)
        recorded = await when_ready(lambda: lane_logs.find(uuid.UUID(int=0), settings.heartbeat_ttl_s))
        clock = SystemClock()
        seed = Seed(Directory(pool), GrpcConnect(keys.shards, clock, settings), clock)
        await seed.settle(settings.graph_service_endpoints, settings.argosy_ready_s)
    if reason := check_start(writer.identity, recorded, settings.topic):
        raise SettingError(reason)
