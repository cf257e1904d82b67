"""What the leaders of maintenance roles count."""

from typing import Final

from argosy.telemetry.room import Room

_ROOM: Final = Room("Maintenance")

LEADER = _ROOM.gauge("argosy_leader", "1 where this process leads the role", ["role"])
LEADER_TERM = _ROOM.gauge(
    "argosy_leader_term", "Term of the last leadership of this process, without its lineage", ["role"]
)
LEADER_TICKS = _ROOM.counter("argosy_leader_ticks", "Ticks of leaders, by outcome", ["role", "outcome"])
LEADER_TICK_S = _ROOM.histogram("argosy_leader_tick_seconds", "Time of one tick", ["role"])
LOG_RECORDS = _ROOM.gauge("argosy_log_records", "Records that the log of a lane holds", ["lane"])
LOG_SIZE_BYTES = _ROOM.gauge(
    "argosy_log_size_bytes", "Disk that the log of a lane takes, replicas not counted", ["lane"]
)
MOVES = _ROOM.gauge("argosy_moves", "Moves of graphs between shards that are open", ["state"])
MOVES_ENDED = _ROOM.counter("argosy_moves_ended", "Moves of graphs that ended", ["outcome"])
MOVES_SEALED_S = _ROOM.gauge(
    "argosy_moves_sealed_seconds", "How long the graph takes no writes that is moved for longest"
)
MOVE_STALL_S = _ROOM.histogram("argosy_move_stall_seconds", "How long a graph took no writes in a move")
MOVE_BYTES = _ROOM.counter("argosy_move_bytes", "Bytes of graphs that were copied between shards")
SHARD_GRAPHS = _ROOM.gauge("argosy_shard_graphs", "Graphs that a shard has, by the directory", ["endpoint"])
ERASURES_WAITING = _ROOM.gauge("argosy_erasures_waiting", "Erasures that cannot go on now, by stage", ["stage"])
ERASURES_WAITING_S = _ROOM.gauge(
    "argosy_erasures_waiting_seconds", "For how long nothing has changed of the erasure that has waited longest"
)
SNAPSHOT_HELD_S = _ROOM.gauge("argosy_snapshot_held_seconds", "Age of the oldest transaction that keeps dead rows")
