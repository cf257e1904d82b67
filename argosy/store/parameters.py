"""The parameters of the SQL functions `flush` and `accept`, in order: one group of parallel arrays per kind of row.

Whoever calls them has one tuple per row, with its values in the order of the group. The name of a parameter is the
prefix of its group, `_`, and the name of the column here.
"""

from collections.abc import Iterable, Mapping
from typing import Final

Group = tuple[str, ...]

TURNS: Final[Group] = (
    "partition", "turn", "old_status", "old_attempt", "old_seq", "status", "attempt", "seq", "crashes", "version",
    "result", "error", "waits", "reason", "trial",
)  # fmt: skip
EVENTS: Final[Group] = ("index", "seq", "attempt", "type", "key", "data")
ROWS: Final[Group] = (
    "index", "id", "lane", "bucket", "session", "turn", "kind", "name", "correlation", "request", "payload", "due_s",
)  # fmt: skip
MOVES: Final[Group] = ("index", "partition", "id", "to")
PLACEMENTS: Final[Group] = ("partition", "turn")

RECORDS: Final[Group] = (
    "partition", "turn", "tenant", "session", "name", "bucket", "workflow", "input", "on_busy", "priority",
    "not_before", "deadline_s", "key", "digest", "tags", "trace", "created_by",
)  # fmt: skip
DEAD_LETTERS: Final[Group] = ("partition", "position", "value", "code", "reason")

# What both begin with (the numbered stream adds it to each call), and what each says of its partitions.
CALL: Final[Group] = ("worker", "no")
FLUSH: Final[Mapping[str, Group]] = {
    "p": (*CALL, "lane", "partitions", "epochs"),
    "u": TURNS,
    "e": EVENTS,
    "i": ROWS,
    "x": MOVES,
    "l": PLACEMENTS,
}
ACCEPT: Final[Mapping[str, Group]] = {
    "p": (*CALL, "lane", "log", "partitions", "epochs", "from", "to", "through"),
    "t": RECORDS,
    "d": DEAD_LETTERS,
}


def names_of(groups: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the names of a function's parameters, in order."""
    return [f"{prefix}_{column}" for prefix, group in groups.items() for column in group]
