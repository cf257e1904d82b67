"""The channels of one attempt: their bounds, and how a replay comes to them."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.errors import EncodingError, WorkflowError
from argosy.workflow.channels import WORKFLOW, Channels
from argosy.workflow.own_emits import Kept
from tests.unit.filled import channels


@pytest.mark.parametrize(
    ("fill", "says"),
    [
        (lambda c: c.append("s", 1, "a", "x" * 1_001), "EMIT_SIZE_BYTES_MAX=1000"),
        (lambda c: c.append("s", 1, "a", "é" * 501), "EMIT_SIZE_BYTES_MAX=1000"),
        (lambda c: c.replace("s", 1, "a", "x" * 999), "EMIT_SIZE_BYTES_MAX=1000"),
        (lambda c: c.patch("s", 1, "a", ["x" * 1_000]), "EMIT_SIZE_BYTES_MAX=1000"),
        (lambda c: [c.append("s", 1, "a", "x" * 900) for _ in range(3)], "PAYLOAD_SIZE_BYTES_MAX=2000"),
        (lambda c: [c.append("s", 1, str(n), "x" * 900) for n in range(4)], "CHANNELS_SIZE_BYTES_MAX=3000"),
        (lambda c: [c.append(str(n), 1, "a", "x") for n in range(5)], "CHANNELS_PER_TURN_MAX=4"),
        (lambda c: c.append("s", 1, "a", "\ud800"), "lone surrogate"),
        (lambda c: (c.append("s", 1, "a", "x"), c.replace("s", 1, "a", 1)), "takes no json"),
        (lambda c: (c.replace("s", 1, "a", 1), c.append("s", 1, "a", "x")), "takes no text"),
        (lambda c: c.patch("s", 1, "a", {"op": "add"}), "list of operations"),
    ],
)
def test_what_a_channel_does_not_take(fill: Any, says: str) -> None:
    with pytest.raises(WorkflowError, match=says):
        fill(channels())


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(EncodingError):
        channels().replace("s", 1, "a", {1, 2})


def test_room_comes_back_with_the_end_of_a_step() -> None:
    filled = channels()
    for n in range(100):
        filled.append(f"s#{n}", 1, "a", "x" * 999)
        filled.append(f"s#{n}", 1, "b", "y" * 999)
        assert filled.take(f"s#{n}") == b'{"a":{"text":"%b"},"b":{"text":"%b"}}' % (b"x" * 999, b"y" * 999)

    assert filled.open() == []
    assert filled.take("s#99") == b""


def test_a_step_that_is_tried_again_begins_with_none() -> None:
    filled = channels()
    filled.append("s", 1, "a", "half")
    (first,) = filled.open()
    filled.clear("s")
    assert filled.open() == []
    filled.append("s", 2, "a", "whole")
    (second,) = filled.open()

    assert (second.tries, second.text()) == (2, "whole")
    assert second.generation > first.generation
    assert filled.take("s") == b'{"a":{"text":"whole"}}'


def test_steps_beside_each_other_take_what_is_theirs() -> None:
    filled = channels()
    filled.append("s", 1, "a", "of s")
    filled.append("t", 1, "a", "of t")

    assert [(each.step, each.text()) for each in filled.open()] == [("s", "of s"), ("t", "of t")]
    assert filled.take("s") == b'{"a":{"text":"of s"}}'
    filled.append("u", 1, "a", "of u")
    assert filled.take("t") == b'{"a":{"text":"of t"}}'
    assert filled.take("u") == b'{"a":{"text":"of u"}}'


def test_the_end_of_another_step_leaves_the_only_text_as_it_is() -> None:
    filled = channels()
    filled.append("s", 1, "a", "of s")

    assert filled.take("t") == b""
    filled.clear("t")
    assert filled.take("s") == b'{"a":{"text":"of s"}}'
    assert filled.take("s") == b""


def test_a_listener_hears_every_change() -> None:
    filled, heard = channels(), []
    filled.append("s", 1, "a", "x")
    filled.listener = lambda: heard.append(len(filled.open()))
    filled.append("s", 1, "b", "x")
    filled.replace("s", 1, "c", 1)
    filled.clear("s")
    filled.clear("s")

    assert heard == [2, 3, 0]


def suspended(filled: Channels) -> Any:
    return msgspec.json.decode(b"{%b}" % filled.suspended())


def test_a_replay_passes_over_what_a_suspend_holds() -> None:
    first = channels()
    for text in ("a", "b"):
        first.append(WORKFLOW, 0, "log", text)
    first.replace(WORKFLOW, 0, "state", {"n": 1})
    kept = suspended(first)
    assert kept == {
        "channels": {"log": {"text": "ab"}, "state": {"json": {"n": 1}}},
        "emits": {"log": [2], "state": [1]},
    }

    again = channels(Kept(kept["channels"], kept["emits"], True))
    for text in ("a", "b", "c"):
        again.append(WORKFLOW, 0, "log", text)
    again.replace(WORKFLOW, 0, "state", {"n": 1})
    log, state = again.open()

    assert (log.text(), state.json()) == ("abc", b'{"n":1}')
    assert log.is_refilled
    assert suspended(again) == {"channels": {"log": {"text": "abc"}}, "emits": {"log": [3], "state": [1]}}
    assert suspended(again) == {"emits": {"log": [3], "state": [1]}}
    assert msgspec.json.decode(again.own()) == {"log": {"text": "abc"}, "state": {"json": {"n": 1}}}


@given(st.lists(st.tuples(st.sampled_from("ab"), st.text(max_size=900)), max_size=12), st.data())
def test_a_replay_comes_to_the_same_values_wherever_it_was_suspended(
    emits: list[tuple[str, str]], data: st.DataObject
) -> None:
    def run(filled: Channels, some: list[tuple[str, str]]) -> list[bool]:
        taken = []
        for name, text in some:
            try:
                filled.append(WORKFLOW, 0, name, text)
                taken.append(True)
            except WorkflowError:
                taken.append(False)
        return taken

    cut = data.draw(st.integers(0, len(emits)))
    whole, first = channels(), channels()
    taken = run(whole, emits)
    run(first, emits[:cut])
    kept = suspended(first)
    again = channels(Kept(kept.get("channels", {}), kept.get("emits", {})))

    assert run(again, emits) == taken
    assert again.own() == whole.own()
    assert suspended(again)["emits"] == suspended(whole)["emits"] if emits else True
