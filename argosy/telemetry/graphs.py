"""What whoever asks shards counts: gateways, workers and maintenance."""

from typing import Final

from argosy.telemetry.room import Room

_ROOM: Final = Room("Graphs, as processes ask for them")

SHARD_UP = _ROOM.gauge("argosy_engine_shard_up", "1 while a shard answered when it was asked last", ["endpoint"])
SHARD_CALLS = _ROOM.counter("argosy_engine_calls", "Calls to a shard, by what came of them", ["endpoint", "outcome"])
SHARD_RETRIES = _ROOM.counter("argosy_engine_retries", "Calls to a shard that were made again", ["endpoint"])
SHARD_RETRIES_HASTENED = _ROOM.counter(
    "argosy_engine_retries_hastened", "Waits of turns that a shard's return ended early"
)
SHARD_BREAKER_OPENED = _ROOM.counter(
    "argosy_engine_breaker_opened", "Times a shard was left alone for a while", ["endpoint"]
)
SHARD_BREAKER = _ROOM.gauge(
    "argosy_engine_breaker_state",
    "Whether a shard is left alone: 0 closed (it is asked), 1 half open (one call tries it), 2 open (it is left alone)",
    ["endpoint"],
)
GRAPH_LOOKUPS = _ROOM.counter(
    "argosy_graph_lookups", "Looks at where a graph is: in memory, Postgres, or again", ["where"]
)
EMBEDDER_S = _ROOM.histogram("argosy_embedder_seconds", "Time of a call of EMBEDDER", ["outcome"])
