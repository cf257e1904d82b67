"""Log events that repeat are said once in a while."""

import threading
from typing import Any

import pytest
import structlog

from argosy.quiet import Quiet
from tests.harness.hand_clock import HandClock


def test_a_repeated_event_is_said_once_in_an_interval_with_what_was_left_out() -> None:
    clock = HandClock(0.0)
    quiet = Quiet({"away"}, 5.0, clock)
    said = []

    for tenth in range(110):
        clock.now_s = tenth / 10
        try:
            said.append((clock.now_s, dict(quiet(None, "warning", {"event": "away"}))))
        except structlog.DropEvent:
            continue

    assert said == [
        (0.0, {"event": "away"}),
        (5.0, {"event": "away", "left_out": 49}),
        (10.0, {"event": "away", "left_out": 49}),
    ]


def test_kinds_do_not_silence_each_other_and_other_events_are_left_alone() -> None:
    quiet = Quiet({"away", "lost"}, 5.0, HandClock())

    quiet(None, "warning", {"event": "away"})
    quiet(None, "warning", {"event": "lost"})
    others = [quiet(None, "info", {"event": "else"}) for _ in range(3)]

    assert len(others) == 3
    with pytest.raises(structlog.DropEvent):
        quiet(None, "error", {"event": "lost"})


def test_what_is_said_while_something_is_said_does_not_wait_for_itself() -> None:
    """Python frees things anywhere: in the middle of a line, too, and whatever is freed may say something."""

    class SaysMore(dict[str, Any]):
        def get(self, key: str, *default: Any) -> Any:
            if not said:
                said.append("more")
                said.append(quiet(None, "warning", {"event": "lost"}))
            return super().get(key, *default)

    quiet = Quiet({"away", "lost"}, 5.0, HandClock())
    quiet._said = SaysMore()
    said: list[Any] = []

    def say() -> None:
        said.append(quiet(None, "warning", {"event": "away"}))

    thread = threading.Thread(target=say, daemon=True)
    thread.start()
    thread.join(5)

    assert said == ["more", {"event": "lost"}, {"event": "away"}]
