"""Whoever begins to watch finds what was emitted; and nothing else is different for it."""

import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy import emit
from argosy.errors import WorkflowError
from argosy.workflow.channel_bounds import ChannelBounds
from argosy.workflow.channels import Channels
from argosy.workflow.current import Try
from argosy.workflow.own_emits import Kept
from tests.workflow.emitting import Journal, inside

STEPS = "st"

NAMES = st.sampled_from("ab")
TEXTS = st.sampled_from(["x", "token ", "token ", "token ", "é", "y" * 100, "z" * 150, ""])
STEP = st.sampled_from(["s", "s", "s", "t"])
OPERATIONS = st.one_of(
    st.tuples(st.just("text"), STEP, NAMES, TEXTS),
    st.tuples(st.just("text"), STEP, st.just("a"), st.just("token ")),
    st.tuples(st.just("json"), st.sampled_from(["s", "t", ""]), NAMES, st.sampled_from([1, "z" * 150])),
    st.tuples(st.just("text"), st.just(""), NAMES, TEXTS),
    st.tuples(st.sampled_from(["end", "retry"]), STEP),
    st.tuples(st.just("record")),
)


class Running:
    """An attempt with two steps beside each other, and the workflow itself."""

    def __init__(self, journal: Journal | None = None) -> None:
        self.journal = Journal() if journal is None else journal
        self.opened = self.journal.opened
        self.tries = {step: Try(self.opened, step, 1, False) for step in STEPS}

    def apply(self, kind: str, step: str = "", *shown: Any) -> Any:
        if kind == "record":
            return self.journal.record()
        if kind == "end":
            self.tries[step].is_over = True
            taken = self.opened.take(step)
            self.tries[step] = Try(self.opened, step, 1, False)
            return taken
        if kind == "retry":
            before = self.tries[step]
            before.is_over = True
            self.opened.clear(step)
            self.tries[step] = Try(self.opened, step, before.number + 1, False)
            return self._refusal(before, "text", "a", "late")
        return self._refusal(self.tries.get(step), kind, *shown)

    def _refusal(self, this: Try | None, kind: str, name: str, value: Any) -> str:
        try:
            with inside(self.opened, this):
                emit(name, **{kind: value})
        except WorkflowError as error:
            return str(error)
        return ""

    def found(self) -> list[Any]:
        return [(each.step, each.name, each.tries, each.member(), each.length) for each in self.journal.made.open()]


@given(st.lists(OPERATIONS, max_size=40), st.data())
def test_whoever_looks_changes_nothing(operations: list[Any], data: st.DataObject) -> None:
    alone, looked_at = Running(), Running()
    for operation in operations:
        if data.draw(st.booleans()):
            looked_at.found()
        assert alone.apply(*operation) == looked_at.apply(*operation)

    assert alone.found() == looked_at.found()


@given(st.lists(OPERATIONS, max_size=40), st.data())
def test_nothing_may_be_told_before_the_event_that_it_follows(operations: list[Any], data: st.DataObject) -> None:
    running = Running()
    lengths: dict[tuple[str, str], int] = {}
    # By event: how long each text was when it came.
    before: dict[int, dict[tuple[str, str], int]] = {}
    for operation in operations:
        refusal = running.apply(*operation)
        match operation:
            case ("text", step, name, text) if not refusal:
                lengths[step, name] = lengths.get((step, name), 0) + len(text)
            case ("end" | "retry", step):
                for texts in (lengths, *before.values()):
                    for each in [key for key in texts if key[0] == step]:
                        del texts[each]
            case ("record",):
                before[running.journal.seq] = dict(lengths)
        if data.draw(st.integers(0, 4)) == 0:
            for channel in running.journal.made.open():
                for seq, texts in before.items():
                    if channel.is_text:
                        assert channel.shown(seq - 1) <= texts.get((channel.step, channel.name), 0)


@pytest.mark.parametrize("is_looked_at", [False, True])
def test_a_try_that_is_over_adds_nothing(is_looked_at: bool) -> None:
    running = Running()
    running.apply("text", "s", "a", "half")
    if is_looked_at:
        running.found()

    assert running.apply("retry", "s") == "this try of step 's' is over: it emits no more"
    assert running.found() == []
    assert running.apply("end", "s") == b""


@pytest.mark.parametrize("texts", [["x"], ["x", "y", "z"], ["é"], ["x" * 150]])
def test_who_watched_before_hears_of_the_first_text_and_of_each_after_it(texts: list[str]) -> None:
    running, heard = Running(), list[str]()
    running.journal.made.listener = lambda: heard.append(running.journal.made.open()[0].text())

    for text in texts:
        running.apply("text", "s", "a", text)

    assert heard == ["".join(texts[: count + 1]) for count in range(len(texts))]


class Interrupted(Journal):
    """Something happens between two statements of an emit."""

    def __init__(self) -> None:
        super().__init__()
        self.happens: Callable[[], object] = lambda: None

    @property
    def is_new(self) -> bool:
        self.happens()
        return True

    def show(self, channels: Channels) -> None:
        super().show(channels)
        self.happens()


@pytest.mark.parametrize("text", ["x", "é"])
def test_a_step_that_ends_while_a_thread_of_it_begins_to_emit_leaves_nothing_open(text: str) -> None:
    journal = Interrupted()
    running = Running(journal)
    journal.happens = lambda: setattr(running.tries["s"], "is_over", True)

    assert running.apply("text", "s", "a", text) == "this try of step 's' is over: it emits no more"
    assert running.opened.take("s") == b""
    assert running.found() == []


def test_who_begins_to_watch_while_the_first_text_is_emitted_finds_it() -> None:
    journal = Interrupted()
    running = Running(journal)

    def comes() -> None:
        if running.journal.shown is None:
            running.opened.reveal()

    journal.happens = comes
    running.apply("text", "s", "a", "x")

    assert running.found() == [("s", "a", 1, b'"a":{"text":"x"}', 1)]
    assert running.opened.take("s") == b'{"a":{"text":"x"}}'


def test_who_comes_while_channels_are_made_is_told_of_what_was_there() -> None:
    journal, told = Interrupted(), list[Any]()
    running = Running(journal)

    def comes() -> None:
        channels = running.journal.shown
        if channels is not None and channels.listener is None:
            channels.listener = lambda: told.append([each.text() for each in channels.open()])
            assert channels.open() == []

    journal.happens = comes
    running.apply("text", "s", "a", "x")
    running.opened.reveal()

    assert told == [["x"]]


@pytest.mark.parametrize("text", ["x", "é"])
def test_what_the_collector_finalizes_in_the_middle_of_an_emit_is_refused_instead_of_waiting_for_it(text: str) -> None:
    journal, refusals = Interrupted(), list[str]()
    running = Running(journal)

    def finalize() -> None:
        if running.journal.shown is not None and not refusals:
            refusals.append(running.apply("text", "s", "b", text))

    journal.happens = finalize
    running.apply("text", "s", "a", "é")

    assert refusals == ["emit() was called by a finalizer, in the middle of another use of what is emitted"]
    assert running.opened.take("s") == '{"a":{"text":"é"}}'.encode()


def test_a_finalizer_does_not_wait_for_channels_that_its_own_thread_changes() -> None:
    refusals: list[str] = []

    class Collected(Journal):
        @property
        def seq(self) -> int:
            if not refusals:
                refusals.append("")
                refusals[0] = running.apply("text", "s", "b", "x")
            return 1

        @seq.setter
        def seq(self, seq: int) -> None: ...

    running = Running(Collected())
    running.opened.reveal()
    running.apply("text", "s", "a", "x")

    assert refusals == ["emit() was called by a finalizer, in the middle of another use of what is emitted"]
    assert running.opened.take("s") == b'{"a":{"text":"x"}}'


def test_nothing_is_emitted_once_the_workflow_has_ended() -> None:
    running = Running()
    running.apply("text", "s", "a", "x")
    running.opened.close()

    assert running.apply("text", "s", "a", "x") == "the turn rests or has ended: nothing of it emits any more"
    assert running.apply("text", "t", "a", "x") == "the turn rests or has ended: nothing of it emits any more"


@pytest.mark.parametrize(
    ("bounds", "texts", "says"),
    [
        (ChannelBounds(100, 2_000, 3_000, 8), ["x" * 101], "EMIT_SIZE_BYTES_MAX=100"),
        (ChannelBounds(200, 256, 3_000, 8), ["x" * 128, "x" * 128, "x"], "PAYLOAD_SIZE_BYTES_MAX=256"),
        (ChannelBounds(200, 2_000, 256, 8), ["x" * 128, "x" * 128, "x"], "CHANNELS_SIZE_BYTES_MAX=256"),
    ],
)
def test_the_first_tokens_are_within_bounds_too(bounds: ChannelBounds, texts: list[str], says: str) -> None:
    journal = Journal()
    journal.bounds = bounds
    running = Running(journal)

    *refusals, last = [running.apply("text", "s", "a", text) for text in texts]

    assert refusals == [""] * len(refusals)
    assert says in last


def test_what_a_turn_goes_on_from_counts_beside_its_first_text() -> None:
    journal = Journal()
    journal.kept = Kept({"log": {"text": "x" * 2_995}}, {"log": [1]})
    running = Running(journal)

    assert running.apply("text", "s", "a", "12345") == ""
    assert "CHANNELS_SIZE_BYTES_MAX=3000" in running.apply("text", "s", "a", "6")


def test_who_comes_while_threads_emit_finds_every_token() -> None:
    """Four threads of one step begin, one watcher comes; again and again."""
    for _ in range(60):
        running, barrier = Running(), threading.Barrier(5, timeout=20)

        def fill(letter: str, running: Running = running, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            for _ in range(10):
                emit("a", text=letter)

        with inside(running.opened, running.tries["s"]):
            threads = [threading.Thread(target=copy_context().run, args=(fill, letter)) for letter in "wxyz"]
        for thread in threads:
            thread.start()
        barrier.wait()
        running.opened.reveal()
        for thread in threads:
            thread.join(20)

        (channel,) = running.journal.made.open()
        assert sorted(channel.text()) == sorted("wxyz" * 10)
        assert running.opened.take("s") == b'{"a":{"text":"%b"}}' % channel.text().encode()
