"""What `argosy turn watch` draws."""

from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console

from argosy.client import Event, Frame, Resync, StreamEvent, Turn
from argosy.turn_watch import Watched
from tests.client.scripted import TURN

BEGAN_AT = datetime(2026, 1, 1, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return BEGAN_AT + timedelta(seconds=seconds)


def durable(seq: int, kind: str, key: str = "", /, *, at_s: float, attempt: int = 1, **data: Any) -> Event:
    return Event(turn_id=TURN, seq=seq, attempt=attempt, type=kind, key=key, at=after(at_s), data=data)


def said(text: str, offset: int, *, step: str = "draft", at_s: float) -> Frame:
    return Frame(
        turn_id=TURN,
        type="frame",
        attempt=1,
        n=1,
        step=step,
        channel="answer",
        offset=offset,
        text=text,
        at=after(at_s),
    )


def drawn(*events: StreamEvent, at_s: float) -> str:
    watched = Watched(Turn(turn_id=TURN, status="running", workflow="writes", started_at=BEGAN_AT))
    for event in events:
        watched.take(event)
    text = Console(width=120, force_terminal=False)
    with text.capture() as shown:
        text.print(watched.draw(after(at_s)))
    return shown.get()


def test_steps_are_shown_with_how_long_they_took_and_text_as_it_comes() -> None:
    shown = drawn(
        durable(1, "turn.started", at_s=0),
        durable(2, "step.completed", "search", at_s=2, result=1, attempts=2),
        said("Once upon\n", 0, at_s=3),
        said("a time", 10, at_s=4),
        at_s=5,
    )

    lines = [line.split() for line in shown.splitlines()]
    assert lines[0] == ["turn", TURN, "running", "writes", "attempt", "1", "5.0s"]
    assert lines[1] == ["search", "completed", "2.0s", "try", "2"]
    assert lines[2] == ["draft", "running", "2.0s"]
    assert [" ".join(line) for line in lines[3:]] == ["answer (draft)", "Once upon", "a time"]


def test_what_a_crash_voided_disappears_and_is_said() -> None:
    shown = drawn(
        durable(1, "turn.started", at_s=0),
        durable(2, "step.completed", "search", at_s=2, result=1),
        said("half of", 0, at_s=3),
        durable(3, "turn.reset", at_s=4, attempt=2, from_seq=2),
        at_s=5,
    )

    assert "search" in shown
    assert "half of" not in shown
    assert "attempt 2 begins: what was not recorded before is void" in shown


def test_a_wait_and_a_retry_say_what_for() -> None:
    shown = drawn(
        durable(1, "step.retrying", "charge", at_s=1, attempts=1, type="OSError", message="bank is away", delay_s=2),
        durable(2, "wait.started", "reviewed", at_s=1, kind="signal", name="reviewed"),
        durable(3, "turn.suspended", at_s=1),
        Resync(turn_id=TURN, type="resync", from_seq=0),
        durable(1, "wait.started", "approved", at_s=2, kind="signal", name="approved"),
        at_s=3,
    )

    assert "bank is away" not in shown
    assert "approved waiting" in " ".join(shown.split())
    assert "the database lost its tail" in shown
