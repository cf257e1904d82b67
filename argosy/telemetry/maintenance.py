"""What the leaders of maintenance roles count."""

from typing import Final, NamedTuple

from prometheus_client import Gauge

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
TURNS_OPEN = _ROOM.gauge(
    "argosy_turns_open",
    "Turns that have not ended, by status (queued, running, suspended, parked), as of the last census; turns that are "
    "delayed and not due yet are not among them",
    ["lane", "status"],
)
TURNS_OPEN_OLDEST_S = _ROOM.gauge(
    "argosy_turns_open_oldest_seconds",
    "Age of the oldest turn of a status that has not ended, since it was accepted or fell due, as of the last census",
    ["lane", "status"],
)
DEAD_LETTERS_KEPT = _ROOM.gauge(
    "argosy_dead_letters_kept", "Dead letters that are kept, as of the last census; 10000: so many, or more", ["lane"]
)
CENSUS_AGE_S = _ROOM.gauge(
    "argosy_census_age_seconds", "Time since the last census began that came to its end, at the leader that counts"
)


class LeaderGauges(NamedTuple):
    """Gauges that the leader of a role sets. labelled: those that have labels."""

    labelled: tuple[Gauge, ...] = ()
    plain: tuple[Gauge, ...] = ()

    def forget(self) -> None:
        """Show nothing any more: this process does not lead."""
        for gauge in self.labelled:
            gauge.clear()
        for gauge in self.plain:
            gauge.set(0)


LEADER_GAUGES: Final = {
    "trim": LeaderGauges((LOG_RECORDS, LOG_SIZE_BYTES)),
    "horizon": LeaderGauges(plain=(SNAPSHOT_HELD_S,)),
    "rebalance": LeaderGauges((MOVES, SHARD_GRAPHS), (MOVES_SEALED_S,)),
    "erase": LeaderGauges((ERASURES_WAITING,), (ERASURES_WAITING_S,)),
    "census": LeaderGauges((TURNS_OPEN, TURNS_OPEN_OLDEST_S, DEAD_LETTERS_KEPT), (CENSUS_AGE_S,)),
}
