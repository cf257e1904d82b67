"""What clients may see of a turn's durable events. Pure. Everything that leaves a gateway has been through here.

Rules:
- The event of a private step, or of the wait between two of its tries, becomes a `step.private` with its number,
  without key and data.
- The private fields of a step's result are left out.
- Of what is recorded before a write to a graph only the graph's name is shown: the operations are arguments.
- The internal members "private", "emits", "args" and "keys" are left out.
"""

from typing import Any, Final, NamedTuple

import msgspec

from argosy.turn.events import KEYS, Event, WireEvent

_EMPTY: Final = b"{}"
_DIGEST: Final = b',"args":"'  # of a step's arguments: eight digits, the last member (argosy/workflow/outcome.py)
# Decodes only the members of the data, not their values: what users wrote passes through as the same bytes.
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class Shown(NamedTuple):
    """An event as clients see it. data: JSON bytes."""

    type: str
    key: str
    data: bytes


def shown(type: str, key: str, data: bytes) -> Shown:  # noqa: A002 — the word of the events
    """Return what clients see of an event. type, key, data: of its row. Never raises for data that a worker wrote."""
    if data[-19:-10] == _DIGEST:
        data = data[:-19] + b"}"
    elif data.endswith(KEYS) and type.startswith("turn."):
        data = data[: -len(KEYS)].rstrip(b",") + b"}"
    if type == Event.STEP_INTENDED and b'"ops"' in data:
        graph = _decode_members(data).get("graph")
        return Shown(type, key, _EMPTY if graph is None else _encode({"graph": graph}))
    if b'"private"' not in data and b'"emits"' not in data:
        return Shown(type, key, data)
    members = _decode_members(data)
    private = members.pop("private", None)
    is_ours = members.pop("emits", None) is not None
    if private is None:
        return Shown(type, key, _encode(members) if is_ours else data)
    said: Any = _decode(private)
    if said is True and not type.startswith("turn."):
        return Shown(WireEvent.STEP_PRIVATE.value, "", _EMPTY)
    if isinstance(said, list):
        _leave_out(members, said)
    return Shown(type, "" if said is True else key, _encode(members))


def _leave_out(members: dict[str, msgspec.Raw], fields: list[str]) -> None:
    result = members.get("result")
    if result is not None and bytes(result).startswith(b"{"):
        kept = {name: value for name, value in _decode_members(result).items() if name not in fields}
        members["result"] = msgspec.Raw(_encode(kept))
