"""What `argosy turn watch` draws."""

import asyncio
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console
from rich.live import Live

from argosy.cli.turn_watch import Watched, watch_turn
from argosy.client import Event, Frame, Resync, Snapshot, Step, StreamEvent, Turn, Wait
from tests.client.scripted import TURN, Scripted, event, stream, turn

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


def watched_of(*events: StreamEvent) -> Watched:
    watched = Watched(Turn(turn_id=TURN, status="running", workflow="writes", started_at=BEGAN_AT))
    for each in events:
        watched.take(each)
    return watched


def on_screen(*events: StreamEvent, height: int = 24) -> str:
    """What a terminal of 80 columns shows."""
    shown = io.StringIO()
    console = Console(width=80, height=height, force_terminal=True, file=shown, color_system=None)
    watched = watched_of(*events)
    with Live(get_renderable=lambda: watched.draw(after(9)), console=console, auto_refresh=False) as live:
        live.refresh()
        return shown.getvalue()


def drawn(*events: StreamEvent, at_s: float) -> str:
    watched = watched_of(*events)
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


def test_what_the_code_gave_up_is_shown_as_that_and_a_cancel_as_long_as_it_takes() -> None:
    shown = drawn(
        durable(1, "turn.started", at_s=0),
        durable(2, "wait.started", "signal:stop", at_s=0, kind="signal", name="stop"),
        durable(3, "step.cancelled", "slow", at_s=1),
        durable(4, "wait.cancelled", "signal:stop", at_s=1),
        durable(5, "turn.cancelling", at_s=2, until="2026-11-21T12:00:30Z"),
        at_s=5,
    )

    lines = [line.split() for line in shown.splitlines()]
    assert lines[1][:3] == ["signal:stop", "cancelled", "1.0s"]
    assert lines[2][:3] == ["slow", "cancelled", "1.0s"]
    assert "may clean up until 2026-11-21T12:00:30Z" in shown


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


def test_a_resync_leaves_what_was_not_lost_and_a_snapshot_says_what_was_before() -> None:
    kept = [durable(1, "turn.started", at_s=0), durable(2, "step.completed", "search", at_s=1, result=1)]
    resync = Resync(turn_id=TURN, type="resync", from_seq=2)
    so_far = Turn(
        turn_id=TURN,
        status="suspended",
        steps=(Step(key="buy", status="completed"), Step(key="cook", status="retrying")),
        waits=(Wait(key="reviewed", kind="signal", name="reviewed"),),
    )

    after_resync = drawn(*kept, durable(3, "step.completed", "charge", at_s=2, result=1), resync, at_s=3)
    after_snapshot = drawn(*kept, Snapshot(turn_id=TURN, type="snapshot", seq=9, turn=so_far), at_s=3)

    assert "search" in after_resync
    assert "charge" not in after_resync
    lines = [" ".join(line.split()[:2]) for line in after_snapshot.splitlines()[1:]]
    assert lines == ["buy completed", "cook retrying", "reviewed waiting"]


def test_a_turn_that_is_parked_says_why_and_what_to_do() -> None:
    shown = drawn(durable(1, "turn.parked", "charge", at_s=1, reason="uncertain", message="did it happen?"), at_s=2)

    assert "parked as uncertain: did it happen?; argosy turn resume" in " ".join(shown.split())


@pytest.mark.parametrize("height", [8, 24, 60])
def test_the_newest_of_a_text_is_seen_however_long_it_is_and_however_many_steps_there_are(height: int) -> None:
    steps = [durable(seq, "step.completed", f"step-{seq}", at_s=1, result=1) for seq in range(1, 60)]
    words = " ".join(f"w{number}" for number in range(1_200))

    shown = on_screen(*steps, said("other", 0, step="side", at_s=2), said(words, 0, at_s=2), height=height)

    assert "w1199" in shown
    assert "step-59" in shown or height == 8
    assert shown.count("\n") < height


def test_without_a_text_the_newest_steps_are_seen() -> None:
    shown = on_screen(*(durable(seq, "step.completed", f"step-{seq}", at_s=1, result=1) for seq in range(1, 60)))

    assert "step-59" in shown


def test_what_others_say_cannot_command_the_terminal() -> None:
    evil = "\x1b]52;c;ZXZpbA==\x07 \x1b[2J \x9b2J \u202e \x7f"
    shown = on_screen(
        durable(1, "step.retrying", f"step{evil}", at_s=1, attempts=1, message=evil),
        durable(2, "turn.parked", at_s=1, reason="uncertain", message=evil),
        said(evil, 0, at_s=2),
    )

    for character in "\x07\x9b\u202e\x7f":
        assert character not in shown
    assert "\x1b]52" not in shown
    assert "\x1b[2J" not in shown
    assert shown.count("\\u001b]52") == 4, "it is seen as it is"


@pytest.mark.parametrize("is_terminal", [False, True])
async def test_how_a_turn_ended_cannot_command_the_terminal_either(is_terminal: bool, gateway: Scripted) -> None:
    error = {"type": "E", "message": "\x9b2J\x1b[2J"}
    gateway.will_say(turn("running"), stream(event("1-1", "turn.failed", 1, **error)), turn("failed", error=error))
    shown = io.StringIO()
    console = Console(width=80, force_terminal=is_terminal, file=shown, color_system=None)

    code = await asyncio.to_thread(watch_turn, [gateway.url], TURN, console=console)

    assert (code, "\\u009b2J" in shown.getvalue()) == (1, True)
    assert "\x9b" not in shown.getvalue()
    assert "\x1b[2J" not in shown.getvalue()
