"""The last log events of a file: when, how severe, which, and which turn, partition or process; no texts.

Texts of errors may quote what a tenant sent, or what a step returned. So of a line in JSON the names that are listed
here are kept, and numbers; of a line for people, its time, level and event. Lines of others than Argosy are left out.
"""

import json
import re
from pathlib import Path
from typing import Any, Final

from argosy.telemetry.event import EVENTS

_READ_BYTES_MAX: Final = 67_108_864  # of the file's end: what is kept of it is much smaller
# Ids, and names of Argosy's own things. A tenant's names are here, its payloads are not.
_KEPT: Final = frozenset(
    {
        *("timestamp", "level", "event", "tenant", "lane", "session", "turn_id", "step", "trace_id", "span_id"),
        *("partition", "partitions", "topic", "worker_id", "role", "loop", "task", "part", "method", "code", "state"),
        *("address", "endpoint", "caller", "callee", "log", "kind", "type", "outcome", "waits_for", "issuer", "job_id"),
    }
)
_VALUE_LENGTH_MAX: Final = 200
_FOR_PEOPLE: Final = re.compile(r"(\d{4}-\d\d-\d\dT[\d:.]+Z) \[(\w+) *\] ([a-z_]+\.[a-z_.]+)(?: |$)")
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")


def read(path: Path, size_bytes_max: int) -> bytes:
    """Return the last log events of a file, one JSON object a line. Raises OSError."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _READ_BYTES_MAX))
        lines = file.read(_READ_BYTES_MAX).decode(errors="replace").splitlines()
    kept: list[bytes] = []
    room = size_bytes_max
    for line in reversed(lines):
        if (found := _event(line)) is None:
            continue
        shown = json.dumps(found, ensure_ascii=False).encode() + b"\n"
        room -= len(shown)
        if room < 0:
            break
        kept.append(shown)
    return b"".join(reversed(kept))


def _event(line: str) -> dict[str, Any] | None:
    """Return what is kept of a line; None when it is no log event of Argosy."""
    if line.startswith("{"):
        try:
            fields = json.loads(line)
        except ValueError:
            return None
        if fields.get("event") not in EVENTS:
            return None
        return {name: value for name, value in fields.items() if _is_kept(name, value)}
    found = _FOR_PEOPLE.match(_COLOUR.sub("", line))
    if found is None or found[3] not in EVENTS:
        return None
    return {"timestamp": found[1], "level": found[2], "event": found[3]}


def _is_kept(name: str, value: Any) -> bool:
    if isinstance(value, (bool, int, float)):
        return True
    return name in _KEPT and isinstance(value, str) and len(value) <= _VALUE_LENGTH_MAX
