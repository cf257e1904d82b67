"""What a worker reaches outside of its own memory: its log, Postgres, and other processes."""

import uuid
from typing import NamedTuple

from argosy.clock import Clock
from argosy.config import Settings
from argosy.log import LogReader
from argosy.logs.open import macs_of, open_reader
from argosy.logs.topic import turns_topic
from argosy.record_mac import RecordMacs
from argosy.rpc.poke import Poker
from argosy.rpc.server import RpcServer
from argosy.rpc.tls import worker_tls
from argosy.rpc.verify_calls import SilentBounds
from argosy.secret import load_keys
from argosy.store.build import Builds, Loans
from argosy.store.head import Heads
from argosy.store.lane_log import LaneLogs
from argosy.store.numbered_stream import NumberedStream
from argosy.store.opened_heads import OpenedHeads, OpenedLoans
from argosy.store.partition import Partitions
from argosy.store.pool import Pool
from argosy.store.start import StartRows
from argosy.workers.dispatch.uploads import Uploads
from argosy.workflow.graphs import Graphs

_ACCEPTS, _FLUSHES = 1, 2


class Outside(NamedTuple):
    """The outside of one worker, under whose id everything in it speaks. Tests have a scripted one.

    macs: None when records of the log have none. graphs: None when the worker knows no shards; uploads: None when it
    uploads nothing.
    """

    worker_id: uuid.UUID
    reader: LogReader
    accepts: NumberedStream
    flushes: NumberedStream
    heads: Heads
    starts: StartRows
    partitions: Partitions
    lane_logs: LaneLogs
    builds: Builds
    loans: Loans
    pool: Pool
    server: RpcServer
    poker: Poker
    macs: RecordMacs | None
    graphs: Graphs | None = None
    uploads: Uploads | None = None


def outside_of(settings: Settings, dsn: str, pool: Pool, clock: Clock, graphs: Graphs | None) -> Outside:
    """Make the outside of a new worker. Nothing is opened yet but the port of the gRPC server."""
    worker_id, lane = uuid.uuid4(), settings.lane
    reader = open_reader(settings, dsn, turns_topic(settings), clock)
    keys = load_keys(
        settings.graph_service_auth_secret, settings.argosy_data_dir, settings.graph_service_auth_secret_previous
    )
    tls = worker_tls(settings)
    server = RpcServer(
        key=keys.calls,
        previous=keys.previous and keys.previous.calls,
        worker_id=worker_id,
        host=settings.grpc_host,
        port=settings.grpc_port,
        silent=SilentBounds(settings.rpc_silent_calls_max, settings.rpc_silent_s),
        tls=tls,
    )
    input_size_bytes_max = settings.head_input_size_bytes_max
    return Outside(
        worker_id=worker_id,
        reader=reader,
        macs=macs_of(settings, turns_topic(settings)),
        accepts=NumberedStream(dsn, worker_id, _ACCEPTS, timeout_s=settings.flush_timeout_s, seals=pool.seals),
        flushes=NumberedStream(dsn, worker_id, _FLUSHES, timeout_s=settings.flush_timeout_s, seals=pool.seals),
        heads=OpenedHeads(
            pool,
            lane,
            input_size_bytes_max=input_size_bytes_max,
            load_size_bytes_max=settings.load_size_bytes_max,
        ),
        starts=StartRows(pool, lane),
        partitions=Partitions(pool, worker_id, server.address, lane),
        lane_logs=LaneLogs(pool, lane),
        builds=Builds(pool),
        loans=OpenedLoans(pool, worker_id, lane, input_size_bytes_max=input_size_bytes_max),
        pool=pool,
        server=server,
        poker=Poker(keys.calls, lane, clock, tls=tls),
        graphs=graphs,
        uploads=None if graphs is None else Uploads(settings, dsn, pool, clock),
    )
