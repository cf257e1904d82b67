"""Channels hold whole values, and any part of them can be had at any moment."""

import threading
from itertools import pairwise
from threading import Lock
from typing import Any

import jsonpatch
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.errors import EncodingError, WorkflowError
from argosy.workflow.channel import Channel
from argosy.workflow.channels import WORKFLOW, ChannelBounds, Channels
from argosy.workflow.own_emits import Kept

TEXTS = st.lists(st.text(max_size=5) | st.text(min_size=3_000, max_size=3_001), max_size=200)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)
BOUNDS = ChannelBounds(1_000, 2_000, 3_000, 4)


def channels(kept: Kept | None = None, seq: int = 0) -> Channels:
    return Channels(BOUNDS, lambda: seq, kept)


def text_channel(parts: list[str]) -> Channel:
    channel = Channel(Lock(), "answer", "tokens", 1, True, 1, False)
    for part in parts:
        channel.append(part, len(part.encode()), 1)
    return channel


@given(TEXTS, st.data())
def test_text_cut_anywhere_is_the_whole(parts: list[str], data: st.DataObject) -> None:
    channel, whole = text_channel(parts), "".join(parts)
    cut = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(cut, len(whole)))

    assert channel.length == len(whole)
    assert channel.text() == whole
    assert channel.text(0, cut) + channel.text(cut) == whole
    assert channel.text(cut, end) == whole[cut:end]
    assert channel.size_bytes == len(whole.encode())


def tokens(long: dict[int, int]) -> list[str]:
    """200 tokens of one character; those at some places have another length."""
    return [chr(0x61 + number % 26) * long.get(number, 1) for number in range(200)]


@pytest.mark.parametrize("length", [0, 2, 63, 4_032, 4_095, 4_096, 4_097, 9_000])
def test_text_is_whole_wherever_a_long_part_comes(length: int) -> None:
    """Tokens are made pieces by the dozen, so what follows it shortly after is looked at, too."""
    for place in range(130):
        for following in (0, 1, 5):
            parts = tokens({place: length})[: place + 1 + following]

            assert text_channel(parts).text() == "".join(parts)


@given(st.dictionaries(st.integers(0, 199), st.integers(0, 9_000), max_size=6), st.sets(st.integers(0, 199)), st.data())
def test_text_is_whole_whenever_it_is_read(long: dict[int, int], reads: set[int], data: st.DataObject) -> None:
    channel, whole = text_channel([]), ""
    for number, part in enumerate(tokens(long)):
        whole += part
        channel.append(part, len(part), 1)
        if number in reads:
            assert channel.text(max(0, len(whole) - 5)) == whole[-5:]
    begin = data.draw(st.integers(0, len(whole)))

    assert channel.text() == whole
    assert channel.text(begin) == whole[begin:]


@given(st.lists(st.tuples(st.text(max_size=3), st.integers(0, 2)), max_size=60))
def test_nothing_is_shown_before_the_event_that_it_follows(emits: list[tuple[str, int]]) -> None:
    channel = Channel(Lock(), WORKFLOW, "log", 0, True, 1, False)
    seq, followed = 0, []
    for text, newer in emits:
        seq += newer
        channel.append(text, len(text.encode()), seq)
        followed += [seq] * len(text)

    for durable in range(seq + 1):
        shown = channel.shown(durable)
        assert all(each <= durable for each in followed[:shown])
    assert channel.shown(seq) == channel.length


def test_what_follows_an_old_event_is_shown_although_more_came_since() -> None:
    channel = Channel(Lock(), WORKFLOW, "log", 0, True, 1, False)
    for seq in range(1, 11):
        channel.append("ab", 2, seq)

    assert [channel.shown(durable) for durable in (0, 1, 5, 10)] == [0, 2, 10, 20]


@given(st.lists(JSON, min_size=1, max_size=8), st.data())
def test_patches_since_any_moment_lead_to_the_whole(values: list[Any], data: st.DataObject) -> None:
    filled = channels()
    filled.replace("draw", 1, "picture", values[0])
    (channel,) = filled.open()
    seen = [msgspec.json.decode(channel.json())]
    for before, after in pairwise(values):
        filled.patch("draw", 1, "picture", jsonpatch.make_patch(before, after).patch)
        seen.append(msgspec.json.decode(channel.json()))

    assert seen == values
    since = data.draw(st.integers(1, channel.length))
    patches = channel.patches(since)
    assert patches is not None
    document = seen[since - 1]
    for patch in patches:
        document = jsonpatch.apply_patch(document, msgspec.json.decode(patch))
    assert document == values[-1]


def test_after_a_replacement_or_too_many_patches_the_whole_is_needed() -> None:
    filled = channels()
    filled.replace("draw", 1, "picture", {"n": 0})
    (channel,) = filled.open()
    for n in range(1_000):
        filled.patch("draw", 1, "picture", [{"op": "replace", "path": "/n", "value": n}])
    kept = channel.patches(990)

    assert channel.patches(1) is None
    assert kept is not None
    assert len(kept) == 1_001 - 990
    filled.replace("draw", 1, "picture", [])
    assert channel.patches(990) is None
    assert channel.patches(channel.length) == []
    assert channel.replaced == channel.length == 1_002


def test_patches_that_are_kept_weigh_no_more_than_the_value() -> None:
    filled = Channels(ChannelBounds(10**6, 10**6, 10**7, 4), lambda: 1)
    filled.replace("draw", 1, "picture", {"large": "x" * 50_000, "small": ""})
    (channel,) = filled.open()
    for _ in range(200):
        filled.patch("draw", 1, "picture", [{"op": "replace", "path": "/small", "value": "y" * 5_000}])
    kept = channel.patches(channel.length - 10)

    assert kept is not None
    assert len(b"".join(kept)) < channel.size_bytes
    assert channel.patches(channel.length - 12) is None
    assert channel.replaced == 1


def test_a_patch_that_weighs_more_than_the_value_replaces_it() -> None:
    filled = Channels(ChannelBounds(10**6, 10**6, 10**7, 4), lambda: 1)
    filled.replace("draw", 1, "picture", [])
    (channel,) = filled.open()
    filled.patch("draw", 1, "picture", [{"op": "test", "path": "", "value": []}] * 200)

    assert channel.patches(1) is None
    assert channel.replaced == channel.length == 2


def test_what_a_patch_copies_is_bounded_as_it_goes() -> None:
    filled = channels()
    filled.replace("draw", 1, "picture", [0])
    (channel,) = filled.open()
    double = {"op": "copy", "from": "", "path": "/-"}

    with pytest.raises(WorkflowError, match="PAYLOAD_SIZE_BYTES_MAX=2000"):
        filled.patch("draw", 1, "picture", [double] * 12 + [{"op": "replace", "path": "", "value": 1}])
    filled.patch("draw", 1, "picture", [double] * 2)

    assert channel.json() == b"[0,[0],[0,[0]]]"


@pytest.mark.parametrize(
    "operations",
    [
        [{"op": "add", "path": "/a", "value": 1}, {"op": "remove", "path": "/nothing"}],
        [{"op": "add", "path": "/a", "value": 1}, {"op": "test", "path": "/a", "value": 2}],
        [{"op": "explode", "path": "/a"}],
        [{"path": "/a"}],
        ["no operation"],
        [{"op": "add", "path": "a", "value": 1}],
        [{"op": "add", "path": "/list/9", "value": 1}],
        [{"op": "copy", "from": "/nothing", "path": "/a"}],
        [{"op": "copy", "path": "/a"}],
    ],
)
def test_a_patch_that_does_not_apply_changes_nothing(operations: Any) -> None:
    filled = channels()
    filled.replace("draw", 1, "picture", {"list": [1]})
    filled.patch("draw", 1, "picture", [{"op": "add", "path": "/list/-", "value": 2}])
    (channel,) = filled.open()

    with pytest.raises(WorkflowError, match="'picture' does not apply"):
        filled.patch("draw", 1, "picture", operations)

    assert msgspec.json.decode(channel.json()) == {"list": [1, 2]}
    assert channel.length == 2
    filled.patch("draw", 1, "picture", [{"op": "add", "path": "/list/-", "value": 3}])
    assert msgspec.json.decode(channel.json()) == {"list": [1, 2, 3]}


def test_a_patch_cannot_nest_a_value_without_end() -> None:
    filled = channels()
    filled.replace("draw", 1, "picture", {"a": []})
    deeper = [
        {"op": "move", "from": "/a", "path": "/b"},
        {"op": "add", "path": "/a", "value": []},
        {"op": "move", "from": "/b", "path": "/a/0"},
    ]

    def nest() -> None:
        for _ in range(200):
            filled.patch("draw", 1, "picture", deeper)

    with pytest.raises(WorkflowError, match="nested deeper"):
        nest()


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
        (lambda c: (c.append("s", 2, "a", "x"), c.append("s", 1, "a", "y")), "try of step 's' is over"),
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


def test_threads_fill_while_others_cut() -> None:
    filled = Channels(ChannelBounds(1_000, 10**6, 10**7, 8), lambda: 1)
    count, went_wrong = 3_000, []

    def fill(name: str) -> None:
        for number in range(count):
            filled.append("s", 1, name, f"{number},")

    def cut() -> None:
        had: dict[str, str] = {}
        while len(had) < 4 or any(not text.endswith(f"{count - 1},") for text in had.values()):
            for channel in filled.open():
                before = had.get(channel.name, "")
                had[channel.name] = before + channel.text(len(before), channel.shown(1))
        if any(text != "".join(f"{number}," for number in range(count)) for text in had.values()):
            went_wrong.append(had)

    threads = [threading.Thread(target=fill, args=(name,)) for name in "abcd"] + [threading.Thread(target=cut)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert not any(thread.is_alive() for thread in threads)
    assert went_wrong == []
