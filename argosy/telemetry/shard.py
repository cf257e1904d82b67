"""What shards count."""

from typing import Final

from argosy.telemetry.room import Room

_ROOM: Final = Room("Shards")

CALLS_S = _ROOM.histogram(
    "argosy_shard_call_seconds", "Time of a call to a shard, by what it came to", ["method", "code"]
)
CALLS_SIZE_BYTES = _ROOM.gauge("argosy_shard_requests_size_bytes", "Requests that a shard works at, or is being sent")
SHARD_GRAPHS_OPEN = _ROOM.gauge("argosy_shard_graphs_open", "Graphs whose files a shard has open")
SHARD_WAL_SIZE_BYTES = _ROOM.gauge("argosy_shard_wal_size_bytes", "Logs of writes of the graphs that a shard has open")
SHARD_QUEUE = _ROOM.gauge("argosy_shard_queue", "Batches that wait to be written")
SHARD_QUEUE_SIZE_BYTES = _ROOM.gauge("argosy_shard_queue_size_bytes", "Memory of the batches that wait to be written")
SHARD_WRITES_REFUSED = _ROOM.counter("argosy_shard_writes_refused", "Batches that were refused because too many wait")
SHARD_COMMIT_BATCHES = _ROOM.histogram(
    "argosy_shard_commit_batches", "Batches in one commit", buckets=(1, 2, 5, 10, 25, 50, 100, 256)
)
SHARD_FEED_LINES = _ROOM.counter("argosy_shard_feed_lines", "Lines of feeds, by what came of them", ["outcome"])
SHARD_THREADS_BUSY = _ROOM.gauge(
    "argosy_shard_threads_busy", "Calls that a thread works at, or that wait for one", ["kind"]
)
SHARD_VIEWS = _ROOM.gauge("argosy_shard_views", "Graphs that are ready for Cypher")
SHARD_VIEW_MEMORY_BYTES = _ROOM.gauge("argosy_shard_view_memory_bytes", "Memory of all views of a shard")
SHARD_QUERIES = _ROOM.gauge("argosy_shard_queries", "Queries that views are answering")
SHARD_VIEW_BUILDS = _ROOM.counter("argosy_shard_view_builds", "Views that were begun to be built")
SHARD_VIEWS_LOST = _ROOM.counter("argosy_shard_views_lost", "Views that ended, fell behind or could not be built")
