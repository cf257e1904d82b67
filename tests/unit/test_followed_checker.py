"""The checker of streams is itself shown to see each kind of harm, and to accept what a client may be told."""

from typing import Any

import pytest

from tests.checker.followed import Followed, Message, breaches
from tests.checker.seen import Event, Read

WHOLE = {"answer": {"text": "Hello!"}}


def _read(*events: Event) -> Read:
    return Read("t", "s", "completed", events)


PLAIN = _read(
    Event(1, 1, "turn.started"),
    Event(2, 1, "step.completed", "write", {"channels": WHOLE}),
    Event(3, 1, "turn.completed"),
)
RETRIED = _read(
    Event(1, 1, "turn.started"),
    Event(2, 1, "step.retrying", "write", {}),
    Event(3, 1, "step.completed", "write", {"channels": WHOLE}),
    Event(4, 1, "turn.completed"),
)
CRASHED = _read(
    Event(1, 1, "turn.started"),
    Event(2, 2, "turn.reset"),
    Event(3, 2, "step.completed", "write", {"channels": WHOLE}),
    Event(4, 2, "turn.completed"),
)
TWO_STEPS = _read(
    Event(1, 1, "turn.started"),
    Event(2, 1, "step.completed", "read", {}),
    Event(3, 1, "step.completed", "write", {"channels": WHOLE}),
    Event(4, 1, "turn.completed"),
)


OWN = _read(
    Event(1, 1, "turn.started"),
    Event(2, 1, "turn.suspended", "", {"channels": {"log": {"text": "begun, "}}}),
    Event(3, 2, "turn.reset"),
    Event(4, 2, "turn.completed", "", {"channels": {"log": {"text": "begun, ended"}}}),
)


def durable(read: Read, seq: int, connection: int = 1) -> Message:
    event = read.events[seq - 1]
    return Message(connection, event.type, seq, event.attempt, event.key, event.data or {})


def live(type_: str, seq: int, connection: int = 1, attempt: int = 1, **data: Any) -> Message:
    return Message(connection, type_, seq, attempt, "", {"step": "write", "channel": "answer", **data})


def frame(seq: int, offset: int, text: str, connection: int = 1, attempt: int = 1) -> Message:
    return live("frame", seq, connection, attempt, offset=offset, text=text)


def _judged(read: Read, *messages: Message, **more: Any) -> list[str]:
    return breaches(Followed("t", messages, more.pop("shows", None)), read, **more)


def _only(found: list[str], words: str) -> None:
    assert len(found) == 1, found
    assert words in found[0]


def _messages(read: Read, at: int, *live_ones: Message) -> list[Message]:
    """The durable events, with what came live after the at-th of them."""
    told = [durable(read, seq) for seq in range(1, len(read.events) + 1)]
    return [*told[:at], *live_ones, *told[at:]]


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param(_messages(PLAIN, 1), id="nothing live"),
        pytest.param(_messages(PLAIN, 1, frame(1, 0, "Hel"), frame(1, 3, "lo!")), id="in pieces"),
        pytest.param(
            [durable(PLAIN, 1), frame(1, 0, "Hel"), durable(PLAIN, 2, connection=2), durable(PLAIN, 3, connection=2)],
            id="the event tells the rest to who comes back",
        ),
        pytest.param(_messages(PLAIN, 1, frame(1, 0, "Hel"), frame(1, 0, "Hello!", 2)), id="told twice"),
        pytest.param(
            _messages(PLAIN, 1, frame(1, 0, "H"), live("gap", 1, 2), frame(1, 0, "Hello!", 2)), id="a healed gap"
        ),
        pytest.param(
            [
                durable(RETRIED, 1), frame(1, 0, "Wrong"), durable(RETRIED, 2), live("channel.reset", 2),
                frame(2, 0, "Hello!"), durable(RETRIED, 3), durable(RETRIED, 4),
            ],
            id="a retry that is announced",
        ),
        pytest.param(
            [
                durable(CRASHED, 1), frame(1, 0, "Wrong"), durable(CRASHED, 2), frame(2, 0, "Hello!", attempt=2),
                durable(CRASHED, 3), durable(CRASHED, 4),
            ],
            id="a crash that is announced",
        ),
        pytest.param(
            [
                durable(PLAIN, 1), frame(1, 0, "Hello!"), durable(PLAIN, 2), live("resync", 1, from_seq=1),
                frame(1, 0, "Hello!"), durable(PLAIN, 2), durable(PLAIN, 3),
            ],
            id="a resync",
        ),
    ],
)  # fmt: skip
def test_what_a_client_may_be_told(messages: list[Message]) -> None:
    second = next(each.type for each in messages if each.seq == 2)
    read = next(each for each in (PLAIN, RETRIED, CRASHED) if each.events[1].type == second)
    assert _judged(read, *messages) == []


def test_an_event_that_is_missing_doubled_or_out_of_order_is_seen() -> None:
    one, two, three = (durable(PLAIN, seq) for seq in (1, 2, 3))
    assert any("told event 3 after 1" in line for line in _judged(PLAIN, one, three))
    _only(_judged(PLAIN, one, two, two, three), "W1 numbers: turn t told event 2 after 2")
    _only(_judged(PLAIN, one, two), "told up to 2 of 3")


def test_an_event_that_is_not_the_one_that_was_recorded_is_seen() -> None:
    messages = _messages(PLAIN, 1)
    messages[1] = messages[1]._replace(key="other")
    assert "W1 other: turn t told 2 as step.completed other" in _judged(PLAIN, *messages)[0]


def test_a_turn_without_an_end_is_seen() -> None:
    _only(_judged(_read(Event(1, 1, "turn.started")), durable(PLAIN, 1)), "W1 end")


def test_text_that_is_not_what_was_recorded_is_seen() -> None:
    _only(_judged(PLAIN, *_messages(PLAIN, 1, frame(1, 0, "Hello"))), "W2 text: turn t, write/answer was 5 characters")


def test_a_hole_in_a_text_is_seen() -> None:
    assert "W2 hole" in _judged(PLAIN, *_messages(PLAIN, 1, frame(1, 0, "Hel"), frame(1, 4, "o!")))[0]


def test_text_that_is_rewritten_is_seen() -> None:
    _only(_judged(PLAIN, *_messages(PLAIN, 1, frame(1, 0, "Yell"), frame(1, 0, "Hello!"))), "W2 rewritten")


def test_a_gap_that_is_not_healed_is_seen() -> None:
    torn = [frame(1, 0, "Hello!"), live("gap", 1)]
    _only(_judged(PLAIN, *_messages(PLAIN, 1, *torn)), "W2 text")
    assert "W2 gap" in _judged(PLAIN, *_messages(PLAIN, 1, *torn, frame(1, 5, "!")))[0]


def test_a_retry_that_was_not_announced_is_seen_even_when_the_connection_broke_meanwhile() -> None:
    before, after = [durable(RETRIED, 1), frame(1, 0, "Hel")], [durable(RETRIED, 3), durable(RETRIED, 4)]
    _only(_judged(RETRIED, *before, durable(RETRIED, 2), frame(2, 0, "Hello!"), *after), "W3 retry")
    assert "W3 retry" in _judged(RETRIED, *before, durable(RETRIED, 2), frame(2, 0, "Hello!", 2), *after)[0]


def test_an_attempt_that_was_not_announced_is_seen() -> None:
    early = [durable(CRASHED, 1), frame(1, 0, "Hello!", attempt=2), *(durable(CRASHED, seq) for seq in (2, 3, 4))]
    _only(_judged(CRASHED, *early), "W3 reset: turn t, write/answer goes on in attempt 2")
    late = _messages(CRASHED, 2, frame(2, 0, "Hello!", attempt=1))
    _only(_judged(CRASHED, *late), "W3 void")


def test_a_frame_before_the_event_that_it_follows_is_seen() -> None:
    _only(_judged(TWO_STEPS, *_messages(TWO_STEPS, 1, frame(1, 0, "Hello!"))), "W4 early: turn t, write/answer is told")
    _only(_judged(PLAIN, frame(1, 0, "Hello!", attempt=0), *_messages(PLAIN, 0)), "W4 early")


def test_a_frame_after_the_end_of_its_step_is_seen() -> None:
    _only(_judged(PLAIN, *_messages(PLAIN, 2, frame(2, 0, "Hello!"))), "W4 late")


def test_a_secret_is_seen_wherever_it_is() -> None:
    _only(_judged(PLAIN, *_messages(PLAIN, 1), secrets=["Hello"]), "W5 private: turn t told 'Hello'")


def test_what_a_client_shows_in_the_end_is_what_was_recorded() -> None:
    assert _judged(PLAIN, *_messages(PLAIN, 1), shows={("write", "answer"): "Hello!"}) == []
    _only(_judged(PLAIN, *_messages(PLAIN, 1), shows={("write", "answer"): "Hello"}), "W2 client")


def own(seq: int, offset: int, text: str, attempt: int) -> Message:
    return Message(1, "frame", seq, attempt, "", {"step": "", "channel": "log", "offset": offset, "text": text})


def test_the_event_may_be_the_first_to_tell_what_the_workflow_said_in_another_attempt() -> None:
    assert _judged(OWN, *_messages(OWN, 1, own(1, 0, "begun, ", 1))) == []
    assert _judged(OWN, *_messages(OWN, 3, own(3, 0, "begun, ended", 2))) == []


def test_what_was_begun_in_another_attempt_is_told_to_its_end() -> None:
    cut_short = _messages(OWN, 3, own(3, 0, "begun, en", 2))
    _only(_judged(OWN, *cut_short), "W2 text: turn t, the workflow/log was 9 characters")
