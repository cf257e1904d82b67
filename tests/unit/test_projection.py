"""What clients may see of durable events."""

from typing import Any

import msgspec
import pytest

from argosy.turn.events import Event
from argosy.turn.projection import shown

FAILED = {"type": "BankError", "message": "card 4711", "attempts": 2}


@pytest.mark.parametrize(
    ("event", "key", "data", "seen"),
    [
        # nothing of ours in it: as it is
        ("turn.started", "", {}, ("turn.started", "", {})),
        ("turn.started", "", {"keys": 2}, ("turn.started", "", {})),
        ("turn.reset", "", {"from_seq": 7, "keys": 2}, ("turn.reset", "", {"from_seq": 7})),
        ("step.completed", "a", {"result": 1, "keys": 2}, ("step.completed", "a", {"result": 1, "keys": 2})),
        (
            "step.completed",
            "charge",
            {"result": 5, "attempts": 1},
            ("step.completed", "charge", {"result": 5, "attempts": 1}),
        ),
        (
            "wait.completed",
            "signal:go",
            {"payload": {"private": True}},
            ("wait.completed", "signal:go", {"payload": {"private": True}}),
        ),
        ("value.recorded", "now", {"value": "emits"}, ("value.recorded", "now", {"value": "emits"})),
        # what is to be written to a graph: which graph
        (
            "step.intended",
            "graph:write",
            {"ops": [{"op": "delete_node", "id": "a"}], "made_at_ms": 7, "graph": "g"},
            ("step.intended", "graph:write", {"graph": "g"}),
        ),
        ("step.intended", "graph:write", {"ops": [], "made_at_ms": 7}, ("step.intended", "graph:write", {})),
        # wholly private: the number alone
        ("step.intended", "pay", {"private": True}, ("step.private", "", {})),
        ("step.completed", "pay", {"result": 5, "attempts": 1, "private": True}, ("step.private", "", {})),
        (
            "step.completed",
            "pay",
            {"result": 5, "channels": {"a": {"text": "x"}}, "private": True},
            ("step.private", "", {}),
        ),
        ("step.failed", "pay", {**FAILED, "private": True}, ("step.private", "", {})),
        ("step.retrying", "pay", {**FAILED, "delay_s": 1.0, "private": True}, ("step.private", "", {})),
        ("wait.started", "pay~1", {"kind": "retry", "timeout_s": 1.0, "private": True}, ("step.private", "", {})),
        ("wait.completed", "pay~1", {"private": True}, ("step.private", "", {})),
        (
            "turn.parked",
            "pay",
            {"reason": "r", "message": "m", "private": True},
            ("turn.parked", "", {"reason": "r", "message": "m"}),
        ),
        # private fields
        (
            "step.completed",
            "pay",
            {"result": {"a": 1, "card": 2}, "private": ["card"]},
            ("step.completed", "pay", {"result": {"a": 1}}),
        ),
        (
            "step.completed",
            "pay",
            {"result": {"a": {"card": 2}}, "private": ["card"]},
            ("step.completed", "pay", {"result": {"a": {"card": 2}}}),
        ),
        (
            "step.completed",
            "pay",
            {"result": ["card"], "private": ["card"]},
            ("step.completed", "pay", {"result": ["card"]}),
        ),
        ("step.completed", "pay", {"result": None, "private": ["card"]}, ("step.completed", "pay", {"result": None})),
        ("step.failed", "pay", {**FAILED, "private": ["card"]}, ("step.failed", "pay", FAILED)),
        # how much of what the workflow emits was written
        (
            "turn.suspended",
            "",
            {"channels": {"a": {"text": "x"}}, "emits": {"a": [1]}},
            ("turn.suspended", "", {"channels": {"a": {"text": "x"}}}),
        ),
        ("turn.suspended", "", {"emits": {"a": [1]}}, ("turn.suspended", "", {})),
        # what users wrote is theirs
        (
            "step.completed",
            "a",
            {"result": {"emits": 1, "private": 2}},
            ("step.completed", "a", {"result": {"emits": 1, "private": 2}}),
        ),
        (
            "step.completed",
            "a",
            {"result": '"private":true', "attempts": 1},
            ("step.completed", "a", {"result": '"private":true', "attempts": 1}),
        ),
    ],
)
def test_what_is_shown(event: str, key: str, data: Any, seen: Any) -> None:
    found = shown(event, key, msgspec.json.encode(data))

    assert (found.type, found.key, msgspec.json.decode(found.data)) == seen


def test_bytes_without_anything_of_ours_are_not_touched() -> None:
    data = b'{ "result" : 1e2 }'

    assert shown("step.completed", "a", data).data is data


def test_what_users_wrote_is_not_rewritten_beside_what_is_left_out() -> None:
    found = shown("step.completed", "a", b'{"result":{"x":1e2, "y":2},"attempts":1,"private":["y"]}')

    assert found.data == b'{"result":{"x":1e2},"attempts":1}'


@pytest.mark.parametrize("event", list(Event))
def test_no_event_tells_what_is_ours(event: Event) -> None:
    for data in (
        b'{"private":true,"emits":{}}',
        b'{"private":["a"],"emits":{}}',
        b'{"result":{"a":1},"private":["a"]}',
    ):
        found = shown(event.value, "secret", data)

        assert b"private" not in found.data
        assert b"emits" not in found.data
