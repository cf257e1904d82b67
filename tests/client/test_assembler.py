"""From events to what a turn says now, whatever was lost, repeated or voided on the way."""

from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from argosy.client import Assembler, ChannelReset, Event, Frame, Gap, Resync, Snapshot, Turn

TURN = "01234567-89ab-8cde-8f01-23456789abcd"


def durable(seq: int, kind: str, key: str = "", /, **data: Any) -> Event:
    return Event(turn_id=TURN, seq=seq, attempt=1, type=kind, key=key, data=data)


def text(n: int, offset: int, said: str, step: str = "draft", channel: str = "answer") -> Frame:
    return Frame(turn_id=TURN, attempt=1, n=n, type="frame", step=step, channel=channel, offset=offset, text=said)


def json(n: int, value: Any) -> Frame:
    return Frame(turn_id=TURN, attempt=1, n=n, type="frame", step="draft", channel="plan", json=value)


def patch(n: int, *operations: dict[str, Any]) -> Frame:
    return Frame(turn_id=TURN, attempt=1, n=n, type="frame", step="draft", channel="plan", patch=list(operations))


def assembled(*events: Any) -> Assembler:
    assembler = Assembler()
    for event in events:
        assembler.take(event)
    return assembler


def test_frames_make_a_text_and_the_durable_event_ends_it() -> None:
    so_far = assembled(text(1, 0, "Hel"), text(2, 3, "lo"))
    ended = assembled(text(1, 0, "Hel"), durable(2, "step.completed", "draft", channels={"answer": {"text": "Hello!"}}))

    assert so_far.text("answer") == "Hello"
    assert [each.is_recorded for each in so_far.channels] == [False]
    assert ended.text("answer") == "Hello!"
    assert [each.is_recorded for each in ended.channels] == [True]


def test_a_frame_that_is_told_twice_changes_nothing() -> None:
    twice = assembled(text(1, 0, "ab"), text(2, 2, "cd"), text(1, 0, "ab"), text(2, 2, "cd"), text(3, 4, "e"))

    assert twice.text("answer") == "abcde"


def test_a_hole_is_seen_and_healed_by_the_whole_value() -> None:
    torn = assembled(text(1, 0, "ab"), text(5, 9, "z"))
    healed = assembled(
        text(1, 0, "ab"),
        Gap(turn_id=TURN, type="gap", n=5, step="draft", channel="answer"),
        text(6, 0, "abcdefghiz"),
    )

    assert [(each.value, each.is_whole) for each in torn.channels] == [("ab", False)]
    assert [(each.value, each.is_whole) for each in healed.channels] == [("abcdefghiz", True)]


def test_what_a_failed_try_said_is_thrown_away() -> None:
    reset = assembled(
        text(1, 0, "wro"), ChannelReset(turn_id=TURN, type="channel.reset", step="draft", channel="answer")
    )
    given_up = assembled(text(1, 0, "wro"), durable(2, "step.cancelled", "draft"))
    again = assembled(text(1, 0, "wrong"), durable(2, "step.retrying", "draft"), text(2, 0, "wr"), text(3, 2, "ote"))

    assert reset.channels == given_up.channels == []
    assert again.text("answer") == "wrote"


def test_a_reset_voids_what_was_not_recorded_and_nothing_else() -> None:
    assembler = assembled(
        durable(2, "step.completed", "plan", channels={"answer": {"text": "kept"}}),
        text(1, 0, "half", step="draft"),
        durable(3, "turn.suspended", channels={"note": {"text": "so far"}}),
        text(2, 6, " and more", step="", channel="note"),
        durable(4, "turn.reset", from_seq=3),
    )

    assert assembler.value("answer", "draft") is None
    assert assembler.text("answer") == "kept"
    assert assembler.text("note") == "so far"


def test_a_channel_goes_on_after_a_suspension() -> None:
    assembler = assembled(
        text(1, 0, "one", step=""), durable(2, "turn.suspended", channels={"answer": {"text": "one"}}),
        durable(3, "turn.resumed"), text(2, 3, " two", step=""),
    )  # fmt: skip

    assert assembler.text("answer") == "one two"
    assert assembler.status == "running"


def test_a_resync_forgets_what_the_database_lost() -> None:
    assembler = assembled(
        durable(2, "step.completed", "a", channels={"answer": {"text": "first"}}),
        durable(3, "turn.suspended", channels={"note": {"text": "x"}}),
        durable(5, "turn.suspended", channels={"note": {"text": "xy"}}),
        durable(6, "step.completed", "b", channels={"answer": {"text": "lost"}}),
        text(9, 0, "half", step="c"),
        Resync(turn_id=TURN, type="resync", from_seq=4),
    )

    assert [(each.step, each.name, each.value) for each in assembler.channels] == [
        ("a", "answer", "first"),
        ("", "note", "x"),
    ]
    assert assembler.seq == 4


def test_a_resync_goes_back_as_far_as_the_backup_is_old() -> None:
    suspends = [durable(n, "turn.suspended", channels={"answer": {"text": "x" * n}}) for n in range(1, 400)]

    assembler = assembled(*suspends, Resync(turn_id=TURN, type="resync", from_seq=150))
    went_on = assembled(*suspends, Resync(turn_id=TURN, type="resync", from_seq=150), suspends[150])
    again = assembled(*suspends, *(Resync(turn_id=TURN, type="resync", from_seq=seq) for seq in (300, 20)))

    assert assembler.text("answer") == "x" * 150
    assert went_on.text("answer") == "x" * 151
    assert again.text("answer") == "x" * 20


def test_a_resync_goes_back_to_a_text_that_was_begun_anew_later() -> None:
    assembler = assembled(
        durable(1, "turn.suspended", channels={"answer": {"text": "one"}}),
        durable(2, "turn.suspended", channels={"answer": {"text": "one two"}}),
        durable(3, "turn.suspended", channels={"answer": {"text": "other"}}),
        durable(4, "turn.suspended", channels={"answer": {"json": 7}}),
        Resync(turn_id=TURN, type="resync", from_seq=1),
    )

    assert assembler.text("answer") == "one"


def test_the_attempt_after_a_resync_is_the_one_that_was_not_lost() -> None:
    def reset(seq: int, attempt: int) -> Event:
        return Event(turn_id=TURN, seq=seq, attempt=attempt, type="turn.reset", data={})

    def back_to(seq: int) -> Resync:
        return Resync(turn_id=TURN, type="resync", from_seq=seq)

    lost = [durable(1, "turn.started"), reset(2, 2), reset(3, 3)]

    assert [assembled(*lost, back_to(seq)).attempt for seq in (0, 1, 2, 3)] == [0, 1, 2, 3]
    assert assembled(*lost, back_to(1), reset(2, 2)).attempt == 2


def test_what_a_workflow_says_stays_its_own_when_a_step_parks_the_turn() -> None:
    assembler = assembled(
        text(1, 0, "so f", step=""),
        durable(2, "turn.parked", "charge", reason="uncertain", channels={"answer": {"text": "so far"}}),
    )

    assert [(each.step, each.value) for each in assembler.channels] == [("", "so far")]


def test_a_snapshot_begins_anew() -> None:
    turn = Turn(turn_id=TURN, status="suspended", attempt=3)

    assembler = assembled(text(1, 0, "old"), Snapshot(turn_id=TURN, type="snapshot", seq=40, turn=turn))

    assert (assembler.channels, assembler.status, assembler.attempt, assembler.seq) == ([], "suspended", 3, 40)


def test_json_is_replaced_and_patched() -> None:
    add = {"op": "add", "path": "/steps/-", "value": "cook"}

    assembler = assembled(json(1, {"steps": ["buy"]}), patch(2, add), patch(2, add))

    assert assembler.value("plan") == {"steps": ["buy", "cook"]}


def test_a_patch_that_does_not_fit_leaves_the_value_and_says_so() -> None:
    assembler = assembled(json(1, {}), patch(4, {"op": "remove", "path": "/missing"}))

    assert [(each.value, each.is_whole) for each in assembler.channels] == [({}, False)]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=5), max_size=12), st.data())
def test_any_part_of_a_stream_may_be_told_again(parts: list[str], data: st.DataObject) -> None:
    frames, length = [], 0
    for n, part in enumerate(parts, 1):
        frames.append(text(n, length, part))
        length += len(part)

    assembler = Assembler()
    for index, frame in enumerate(frames):
        assembler.take(frame)
        for again in frames[data.draw(st.integers(0, index + 1)) : index + 1]:
            assembler.take(again)

    assert assembler.text("answer") == "".join(parts)


class Watching(RuleBasedStateMachine):
    """A step that fills a channel, fails, is tried again; a client whose connection loses frames and comes back."""

    def __init__(self) -> None:
        super().__init__()
        self.value = ""
        self.seen = 0  # characters that the gateway has sent in order
        self.n = 0
        self.seq = 1
        self.step = 1
        self.assembler = Assembler()

    def _take(self, event: Any) -> None:
        self.assembler.take(event)

    @property
    def _key(self) -> str:
        return f"step-{self.step}"

    @rule(said=st.text(min_size=1, max_size=8))
    def emit(self, said: str) -> None:
        self.value += said

    @precondition(lambda self: self.seen < len(self.value))
    @rule(data=st.data())
    def send(self, data: Any) -> None:
        end = data.draw(st.integers(self.seen + 1, len(self.value)))
        self.n += 1
        self._take(text(self.n, self.seen, self.value[self.seen : end], step=self._key))
        self.seen = end

    @precondition(lambda self: self.value)
    @rule()
    def come_back_with_a_gap(self) -> None:
        self.n += 2
        self._take(Gap(turn_id=TURN, type="gap", n=self.n - 1, step=self._key, channel="answer"))
        self._take(text(self.n, 0, self.value, step=self._key))
        self.seen = len(self.value)

    @rule()
    def fail(self) -> None:
        self.seq += 1
        self._take(durable(self.seq, "step.retrying", self._key))
        self.value, self.seen = "", 0

    @rule()
    def crash(self) -> None:
        self.seq += 1
        self._take(durable(self.seq, "turn.reset", from_seq=self.seq))
        self.value, self.seen, self.n = "", 0, 0

    @rule()
    def complete(self) -> None:
        self.seq += 1
        self._take(durable(self.seq, "step.completed", self._key, channels={"answer": {"text": self.value}}))
        assert self.assembler.value("answer", self._key) == self.value
        self.step += 1
        self.value, self.seen = "", 0

    @invariant()
    def shows_what_was_sent(self) -> None:
        assert self.assembler.text("answer", self._key) == self.value[: self.seen]
        assert all(each.is_whole for each in self.assembler.channels)


TestWatching = Watching.TestCase
TestWatching.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
