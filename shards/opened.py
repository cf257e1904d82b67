"""Opens a shard as the settings have it: SQLite for its graphs, kglite for Cypher."""

from argosy.clock import Clock
from argosy.config import Settings
from argosy.process.open_files import OTHERS, open_files_max
from argosy.shards.bounds import ShardBounds
from argosy.shards.engine import Engine
from argosy.shards.engines.connections import OpenBounds
from argosy.shards.engines.sqlite import SqliteEngine
from argosy.shards.guarded import GuardedShard
from argosy.shards.shard import Shard
from argosy.shards.views.kglite import KgliteViews, ViewLimits


def open_engine(settings: Settings, *, is_own_process: bool) -> SqliteEngine:
    """Open a shard's folder. Raises SettingError when another process has it, or when it cannot be used."""
    bounds = OpenBounds(
        graphs=settings.shard_graphs_open_max,
        memory_bytes=settings.shard_cache_size_bytes_max,
        descriptors=max(64, open_files_max(is_own_process=is_own_process) - OTHERS),
        vectors_bytes=settings.shard_vectors_size_bytes_max,
    )
    return SqliteEngine(
        settings.shard_folder,
        bounds=bounds,
        key_horizon_ms=int(settings.graph_key_horizon_s * 1_000),
        rejects_max=settings.ingest_rejects_max,
    )


def open_shard(settings: Settings, engine: Engine, clock: Clock) -> Shard:
    """Make a shard over an open engine, which its end closes, on this event loop."""
    limits = ViewLimits(
        memory_bytes_max=settings.shard_view_size_bytes_max,
        queries_max=settings.shard_view_queries_max,
        answer_size_bytes_max=settings.graph_answer_size_bytes_max,
    )
    views, bounds = KgliteViews(limits), ShardBounds.of(settings)
    if settings.kg_brain_enforce:
        return GuardedShard(engine, views, bounds, clock, is_open=settings.kg_acl_default_allow)
    return Shard(engine, views, bounds, clock)
