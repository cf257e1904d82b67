"""The bounds of a shard, as the settings have them."""

from typing import NamedTuple

from argosy.config import Settings
from argosy.shards.copies import CopyBounds
from argosy.shards.limits import Limits
from argosy.shards.streams import StreamBounds
from argosy.shards.view_bounds import ViewBounds
from argosy.shards.write_queue import WriteBounds


class ShardBounds(NamedTuple):
    """All bounds of a shard. build_s: of the building of one view."""

    limits: Limits
    writes: WriteBounds
    views: ViewBounds
    read_threads: int
    read_queue_max: int
    streams: StreamBounds
    copies: CopyBounds
    build_s: float

    @classmethod
    def of(cls, settings: Settings) -> "ShardBounds":
        return cls(
            Limits.of(settings),
            WriteBounds(
                threads=settings.shard_write_threads,
                count_max=settings.shard_graph_queue_max,
                graph_size_bytes_max=settings.shard_graph_queue_size_bytes_max,
                size_bytes_max=settings.shard_queue_size_bytes_max,
                feed_yield_s=settings.shard_feed_yield_s,
                feed_nice=settings.shard_feed_nice,
            ),
            ViewBounds(
                count_max=settings.shard_views_max,
                memory_bytes_max=settings.shard_views_size_bytes_max,
                view_memory_bytes_max=settings.shard_view_size_bytes_max,
                behind_size_bytes_max=settings.shard_view_behind_size_bytes_max,
                waiting_max=settings.shard_read_queue_max,
            ),
            read_threads=settings.shard_read_threads,
            read_queue_max=settings.shard_read_queue_max,
            streams=StreamBounds(settings.shard_streams_max, settings.shard_stall_s),
            copies=CopyBounds(
                settings.shard_copies_max, settings.shard_copy_hold_s, settings.shard_copy_wal_size_bytes_max
            ),
            build_s=settings.shard_view_build_s,
        )
