"""Token after token into one channel: what `emit` adds without a lock is the same text, in the same bounds."""

import json
import random
import sys
import threading
from collections.abc import Iterator
from contextvars import copy_context
from typing import Any

import pytest

from argosy import emit
from argosy.errors import WorkflowError
from argosy.workflow.current import Try, current_try
from tests.workflow.emitting import Journal, inside

STEP = "write"


@pytest.fixture
def journal() -> Iterator[Journal]:
    """The code of the test is the first try of a step."""
    journal = Journal()
    with inside(journal.opened, Try(journal.opened, STEP, 1, False)):
        yield journal


def taken(journal: Journal) -> Any:
    return json.loads(journal.opened.take(STEP))


@pytest.mark.parametrize("seed", range(20))
def test_any_tokens_are_the_text_that_they_make(journal: Journal, seed: int) -> None:
    draw = random.Random(seed)
    wanted: dict[str, str] = {}

    for _ in range(300):
        name = draw.choice("aaaaaaaab")
        token = draw.choice(["x", "token ", "token ", "token ", "ö", "漢字", "y" * 30, ""])
        if len((wanted.get(name, "") + token).encode()) > 1_400:
            continue
        emit(name, text=token)
        wanted[name] = wanted.get(name, "") + token
        if draw.random() < 0.02:
            journal.record()
        if draw.random() < 0.02:
            assert {each.name: each.text(0, each.shown(journal.seq)) for each in journal.made.open()} == wanted

    assert taken(journal) == {name: {"text": text} for name, text in wanted.items()}


def test_the_bound_of_a_channel_is_kept_to_the_byte(journal: Journal) -> None:
    for _ in range(200):
        emit("a", text="0123456789")

    with pytest.raises(WorkflowError, match="PAYLOAD_SIZE_BYTES_MAX=2000"):
        emit("a", text="x")

    assert taken(journal) == {"a": {"text": "0123456789" * 200}}


def test_the_bound_of_a_turn_is_kept_to_the_byte_over_its_channels(journal: Journal) -> None:
    for number in range(300):
        emit("ab"[number % 100 >= 50], text="0123456789")

    with pytest.raises(WorkflowError, match="CHANNELS_SIZE_BYTES_MAX=3000"):
        emit("a", text="x")
    with pytest.raises(WorkflowError, match="CHANNELS_SIZE_BYTES_MAX=3000"):
        emit("b", text="x")


def test_tokens_count_for_what_is_filled_after_them(journal: Journal) -> None:
    for _ in range(14):
        emit("a", text="x" * 100)
    for _ in range(8):
        emit("b", text="y" * 200)

    with pytest.raises(WorkflowError, match="CHANNELS_SIZE_BYTES_MAX=3000"):
        emit("c", text="z")


def test_what_is_filled_beside_a_text_takes_its_room(journal: Journal) -> None:
    for number in range(28):
        emit("ab"[number % 2], text="x" * 100)
    emit("text", text="x")
    emit("state", json="x" * 97)
    emit("other", json="x" * 97)
    emit("text", text="x")

    with pytest.raises(WorkflowError, match="CHANNELS_SIZE_BYTES_MAX=3000"):
        emit("text", text="x")


def test_the_bound_of_one_emit_is_kept(journal: Journal) -> None:
    emit("a", text="x")

    with pytest.raises(WorkflowError, match="EMIT_SIZE_BYTES_MAX=200"):
        emit("a", text="x" * 201)

    emit("a", text="y" * 200)
    assert taken(journal) == {"a": {"text": "x" + "y" * 200}}


def test_what_follows_an_event_is_not_told_before_it(journal: Journal) -> None:
    emit("a", text="before ")
    (channel,) = journal.made.open()
    emit("a", text="it ")
    journal.record()
    emit("a", text="after ")
    emit("a", text="it ")
    journal.made.open()

    assert channel.text(0, channel.shown(1)) == "before it "
    assert channel.text(0, channel.shown(2)) == "before it after it "


def test_what_nobody_has_watched_is_told_after_all_events_that_there_are_when_somebody_comes(journal: Journal) -> None:
    emit("a", text="before ")
    journal.record()
    emit("a", text="after ")
    (channel,) = journal.made.open()
    emit("a", text="it")
    journal.made.open()

    assert channel.text(0, channel.shown(1)) == ""
    assert channel.text(0, channel.shown(2)) == "before after it"


def test_who_watches_hears_of_every_token(journal: Journal) -> None:
    heard = []
    emit("a", text="0")
    journal.made.listener = lambda: heard.append([each.length for each in journal.made.open()])

    for _ in range(5):
        emit("a", text="x")

    assert heard == [[2], [3], [4], [5], [6]]


def test_a_token_after_the_end_of_its_try_is_refused(journal: Journal) -> None:
    emit("a", text="x")
    emit("a", text="y")
    assert taken(journal) == {"a": {"text": "xy"}}
    this = current_try.get()
    assert this is not None
    this.is_over = True

    with pytest.raises(WorkflowError, match="is over"):
        emit("a", text="z")


def test_threads_of_a_step_fill_one_channel_while_others_look(journal: Journal) -> None:
    count, threads_count = 40, 4
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)

    def fill(letter: str) -> None:
        for _ in range(count):
            emit("a", text=letter)

    def look() -> None:
        had = ""
        while len(had) < count * threads_count:
            for channel in journal.made.open():
                had += channel.text(len(had), channel.shown(1))
        seen.append(had)

    seen: list[str] = []
    try:
        threads = [threading.Thread(target=copy_context().run, args=(fill, letter)) for letter in "wxyz"]
        threads.append(threading.Thread(target=look))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    finally:
        sys.setswitchinterval(before)

    assert sorted(seen[0]) == sorted("wxyz" * count)
    assert taken(journal) == {"a": {"text": seen[0]}}
