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

from argosy.errors import WorkflowError
from argosy.workflow.channel import Channel
from argosy.workflow.channel_bounds import ChannelBounds
from argosy.workflow.channels import WORKFLOW, Channels
from tests.unit.filled import At, channels

TEXTS = st.lists(st.text(max_size=5) | st.text(min_size=3_000, max_size=3_001), max_size=200)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


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
    filled = Channels(ChannelBounds(10**6, 10**6, 10**7, 4), At(1))
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
    filled = Channels(ChannelBounds(10**6, 10**6, 10**7, 4), At(1))
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


def test_threads_fill_while_others_cut() -> None:
    filled = Channels(ChannelBounds(1_000, 10**6, 10**7, 8), At(1))
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
