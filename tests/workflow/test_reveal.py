"""Whoever begins to watch finds what was emitted; and nothing else is different for it."""

import threading
from contextvars import copy_context
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy import emit
from argosy.errors import WorkflowError
from argosy.workflow.current import Try
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

    def __init__(self) -> None:
        self.journal = Journal()
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


def test_who_comes_while_threads_emit_finds_every_token() -> None:
    """Four threads of one step begin, one watcher comes; again and again."""
    for _ in range(60):
        running, barrier = Running(), threading.Barrier(5)

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
            thread.join()

        (channel,) = running.journal.made.open()
        assert sorted(channel.text()) == sorted("wxyz" * 10)
        assert running.opened.take("s") == b'{"a":{"text":"%b"}}' % channel.text().encode()
