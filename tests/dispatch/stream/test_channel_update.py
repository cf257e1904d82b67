"""What a subscriber is sent next of a turn's channels: a table of the rules, and a model of many subscribers."""

import json
from typing import Any

import jsonpatch
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.workers.dispatch.stream.channel_update import (
    Sent,
    UpdateKind,
    next_update,
    with_gaps,
    with_update,
    without_step,
)
from argosy.workers.dispatch.stream.turn_frames import TurnFrames
from argosy.workflow.own_emits import Kept
from tests.dispatch.stream.filled_turn import Turn

ANY = 1 << 60


def all_updates(turn: Turn, sent: Sent, durable_seq: int = ANY, characters_max: int = 100) -> tuple[list[Any], Sent]:
    """Everything that comes next for a subscriber, as (kind, what it says)."""
    told = []
    while (
        update := next_update(turn.channels.open(), sent, durable_seq=durable_seq, characters_max=characters_max)
    ) is not None:
        is_text = update.kind is UpdateKind.TEXT
        told.append(
            (update.kind, update.begin, update.channel.text(update.begin, update.end) if is_text else update.value)
        )
        sent = with_update(sent, update)
        assert len(told) < 1000
    return told, sent


def test_text_goes_on_where_it_was() -> None:
    turn = Turn()
    turn.say("one ")

    first, sent = all_updates(turn, ())
    turn.say("two ")
    turn.say("three")
    second, sent = all_updates(turn, sent)

    assert first == [(UpdateKind.TEXT, 0, "one ")]
    assert second == [(UpdateKind.TEXT, 4, "two three")]
    assert all_updates(turn, sent)[0] == []


def test_a_frame_of_text_is_bounded() -> None:
    turn = Turn()
    turn.say("ü" * 25)

    told, _ = all_updates(turn, (), characters_max=10)

    assert told == [(UpdateKind.TEXT, 0, "ü" * 10), (UpdateKind.TEXT, 10, "ü" * 10), (UpdateKind.TEXT, 20, "ü" * 5)]


def test_nothing_is_told_before_the_event_that_it_follows() -> None:
    turn = Turn()
    turn.say("before ")
    turn.seq = 5
    turn.say("after")

    early, sent = all_updates(turn, (), durable_seq=1)
    late, _ = all_updates(turn, sent, durable_seq=5)

    assert early == [(UpdateKind.TEXT, 0, "before ")]
    assert late == [(UpdateKind.TEXT, 7, "after")]


def test_a_retry_empties_the_channel() -> None:
    turn = Turn()
    turn.say("wrong")
    _, sent = all_updates(turn, ())

    turn.channels.clear("write")
    turn.say("right", tries=2)

    assert all_updates(turn, sent)[0] == [(UpdateKind.RESET, 0, b""), (UpdateKind.TEXT, 0, "right")]


def test_of_json_the_newest_value_is_enough() -> None:
    turn = Turn()
    for number in range(5):
        turn.channels.replace("plan", 1, "state", {"number": number})

    first, sent = all_updates(turn, ())
    turn.channels.replace("plan", 1, "state", [])

    assert first == [(UpdateKind.JSON, 0, b'{"number":4}')]
    assert all_updates(turn, sent)[0] == [(UpdateKind.JSON, 5, b"[]")]


def test_patches_are_told_together() -> None:
    turn = Turn()
    turn.channels.replace("plan", 1, "state", [])
    _, sent = all_updates(turn, ())
    turn.channels.patch("plan", 1, "state", [{"op": "add", "path": "/-", "value": 1}])
    turn.channels.patch("plan", 1, "state", [])
    turn.channels.patch("plan", 1, "state", [{"op": "add", "path": "/-", "value": 2}])

    ((kind, _, patch),) = all_updates(turn, sent)[0]

    assert kind is UpdateKind.PATCH
    assert [operation["value"] for operation in json.loads(patch)] == [1, 2]


def test_patches_that_are_not_kept_are_a_gap_and_then_the_whole_value() -> None:
    turn = Turn()
    turn.channels.replace("plan", 1, "state", {"n": 0})
    _, sent = all_updates(turn, ())
    for number in range(1000):
        turn.channels.patch("plan", 1, "state", [{"op": "replace", "path": "/n", "value": number}])

    assert all_updates(turn, sent)[0] == [(UpdateKind.GAP, 0, b""), (UpdateKind.JSON, 0, b'{"n":999}')]


def test_who_comes_back_with_an_unknown_number_has_a_gap_in_all_there_is() -> None:
    turn = Turn()
    turn.say("text")
    turn.channels.replace("plan", 1, "state", 1)
    sent = with_gaps(turn.channels.open())
    turn.say("later", name="another")

    told, _ = all_updates(turn, sent)

    assert told == [
        (UpdateKind.GAP, 0, b""),
        (UpdateKind.TEXT, 0, "text"),
        (UpdateKind.GAP, 0, b""),
        (UpdateKind.JSON, 0, b"1"),
        (UpdateKind.TEXT, 0, "later"),
    ]


@pytest.mark.parametrize(
    ("is_refilled", "expected"),
    [(False, [(UpdateKind.TEXT, 3, "d")]), (True, [(UpdateKind.RESET, 0, b""), (UpdateKind.TEXT, 0, "abcd")])],
    ids=["it goes on here", "another process filled it before"],
)
def test_the_workflows_own_channel_goes_on_after_a_suspend(is_refilled: bool, expected: list[Any]) -> None:
    turn = Turn()
    turn.say("x")
    turn.channels.append("", 0, "answer", "abc")
    _, sent = all_updates(turn, ())

    resumed = Turn(Kept({"answer": {"text": "abc"}}, {"answer": [1]}, is_refilled=is_refilled))
    resumed.channels.append("", 0, "answer", "abc")
    resumed.channels.append("", 0, "answer", "d")

    assert all_updates(resumed, without_step(sent, "write"))[0] == expected


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_workflows_own_json_goes_on_from_what_the_suspend_held(count: int) -> None:
    turn = Turn()
    for number in range(3):
        turn.channels.replace("", 0, "newest", number)
        turn.channels.replace("", 0, "all", [0, 1, 2])
    _, sent = all_updates(turn, ())

    resumed = Turn(Kept({"newest": {"json": 2}, "all": {"json": [0, 1, 2]}}, {"newest": [0], "all": [0]}))
    for number in range(count):
        resumed.channels.replace("", 0, "newest", number)
        resumed.channels.patch("", 0, "all", [{"op": "add", "path": "/-", "value": number}])
    told = [(kind, json.loads(value)) for kind, _, value in all_updates(resumed, sent)[0]]

    added = [{"op": "add", "path": "/-", "value": number} for number in range(count)]
    assert told == ([(UpdateKind.JSON, count - 1), (UpdateKind.PATCH, added)] if count else [])


def test_the_end_of_a_step_ends_its_channels() -> None:
    turn = Turn()
    turn.say("a")
    turn.say("b", step="other")
    _, sent = all_updates(turn, ())

    assert [had.step for had in without_step(sent, "write")] == ["other"]


class Subscriber:
    """What somebody makes of what is told: every channel's value, and the number of the last frame."""

    def __init__(self) -> None:
        self.sent: Sent = ()
        self.values: dict[tuple[str, str], Any] = {}
        self.n = 0

    def receive(self, turn: Turn, frames: TurnFrames, frames_max: int) -> None:
        for _ in range(frames_max):
            update = next_update(turn.channels.open(), self.sent, durable_seq=ANY, characters_max=3)
            if update is None:
                return
            n, update, self.sent = frames.numbered(self.sent, update, lambda _, update, __: update, above=self.n)
            assert n > self.n
            self.n = n
            key = (update.channel.step, update.channel.name)
            if update.kind in (UpdateKind.RESET, UpdateKind.GAP):
                self.values.pop(key, None)
            elif update.kind is UpdateKind.TEXT:
                assert len(self.values.get(key, "")) == update.begin
                self.values[key] = self.values.get(key, "") + update.channel.text(update.begin, update.end)
            elif update.kind is UpdateKind.JSON:
                self.values[key] = json.loads(update.value)
            else:
                self.values[key] = jsonpatch.apply_patch(self.values[key], json.loads(update.value))

    def come_back(self, turn: Turn, frames: TurnFrames, *, is_known: bool) -> None:
        """It has what it has up to its last number; the worker has forgotten the rest."""
        found = frames.sent(self.n) if is_known else None
        self.sent = with_gaps(turn.channels.open()) if found is None else found


ACTIONS = st.one_of(
    st.tuples(st.just("say"), st.sampled_from("ab"), st.text("xyzü", min_size=1, max_size=6)),
    st.tuples(st.just("replace"), st.sampled_from("cd"), st.lists(st.integers(0, 9), max_size=3)),
    st.tuples(st.just("patch"), st.sampled_from("cd"), st.integers(0, 9)),
    st.tuples(st.just("retry"), st.sampled_from("abcd"), st.none()),
    st.tuples(st.just("receive"), st.integers(0, 2), st.integers(1, 4)),
    st.tuples(st.just("come back"), st.integers(0, 2), st.booleans()),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(ACTIONS, max_size=60))
def test_every_watcher_has_every_value_in_the_end(actions: list[tuple[str, Any, Any]]) -> None:
    turn, frames = Turn(), TurnFrames(unix_ms=7)
    subscribers = [Subscriber() for _ in range(3)]
    tries = dict.fromkeys("abcd", 1)
    for action, who, what in actions:
        if action == "say":
            turn.say(what, "text", who, tries[who])
        elif action == "replace":
            turn.channels.replace(who, tries[who], "value", what)
        elif action == "patch":
            if any(each.step == who for each in turn.channels.open()):
                turn.channels.patch(who, tries[who], "value", [{"op": "add", "path": "/-", "value": what}])
        elif action == "retry":
            turn.channels.clear(who)
            tries[who] += 1
            for subscriber in subscribers:  # the event that says so empties the channels
                subscriber.values = {key: value for key, value in subscriber.values.items() if key[0] != who}
        elif action == "receive":
            subscribers[who].receive(turn, frames, what)
            frames.end_round()
        else:
            subscribers[who].come_back(turn, frames, is_known=what)

    for subscriber in subscribers:
        subscriber.receive(turn, frames, 10_000)

    values = {
        (each.step, each.name): each.text(0, each.length) if each.is_text else json.loads(each.json())
        for each in turn.channels.open()
    }
    for subscriber in subscribers:
        assert {key: value for key, value in subscriber.values.items() if key in values} == values
