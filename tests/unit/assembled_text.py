"""What a client makes of what it was told that only puts frames together."""

import json
from typing import Any, NamedTuple

from argosy.gateway.stream.message import Message

# Not told: the client came back with the id of a durable event, and is told of open channels from their beginning.
BEGUN_ANEW = "begun anew"
_ON_THE_WIRE = frozenset({BEGUN_ANEW, "frame", "channel.reset", "gap", "resync", "snapshot"})

_EMPTIES_ALL = frozenset({"turn.reset", BEGUN_ANEW})
_EMPTIES = frozenset({"step.retrying", "channel.reset", "gap"})


class Received(NamedTuple):
    type: str
    id: str
    seq: int
    key: str
    data: dict[str, Any]

    @property
    def is_durable(self) -> bool:
        return self.type not in _ON_THE_WIRE


def decoded(message: Message) -> Received:
    body = json.loads(message.data)
    return Received(message.type, message.id, body["seq"], body.get("key", ""), body["data"])


def text_of(told: list[Received], step: str) -> tuple[str, list[str]]:
    """The text of a step's channel at the event that completed it, and ids of frames that left a hole. The event holds
    the text, too: that counts when nothing was told of it before.
    """
    text, holes = "", []
    for each in told:
        is_of_step = step in (each.key, each.data.get("step"))
        if each.type in _EMPTIES_ALL or (is_of_step and each.type in _EMPTIES):
            text = ""
        elif is_of_step and each.type == "frame":
            if each.data["offset"] > len(text):
                holes.append(each.id)
            text = text[: each.data["offset"]] + each.data["text"]
        elif is_of_step and each.type == "step.completed":
            return text or each.data.get("channels", {}).get("answer", {}).get("text", ""), holes
    return text, holes
