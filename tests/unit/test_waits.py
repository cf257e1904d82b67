"""What turns.waits holds: one form for the worker that writes it and for everybody who reads it."""

import pytest

from argosy.turn.wait import WaitKind, WrittenWait, decode, encode, is_one_over

SIGNAL = WrittenWait("signal:go", WaitKind.SIGNAL, "go")
SLEEP = WrittenWait("sleep", WaitKind.SLEEP, timer_id="01934567-89ab-8cde-8f01-23456789abcd", due_at_s=1.5)
RETRY = WrittenWait("pay~1", WaitKind.RETRY, due_at_s=2.0, private=True)
WRITTEN = (
    b'[{"key":"signal:go","kind":"signal","name":"go"},'
    b'{"key":"sleep","kind":"sleep","timer_id":"01934567-89ab-8cde-8f01-23456789abcd","due_at_s":1.5},'
    b'{"key":"pay~1","kind":"retry","due_at_s":2.0,"private":true}]'
)


def test_waits_are_written_as_every_version_reads_them() -> None:
    assert encode([SIGNAL, SLEEP, RETRY]) == WRITTEN
    assert decode(WRITTEN) == [SIGNAL, SLEEP, RETRY]


def test_what_a_later_version_wrote_can_be_read() -> None:
    later = b'[{"key":"child:a","kind":"child","turn_id":"x"},{"key":"signal:go","kind":"signal","name":"go","x":{}}]'

    assert decode(later) == [WrittenWait("child:a", "child"), SIGNAL]
    assert is_one_over(later, signals=["go"])


def test_a_turn_that_never_waited_has_no_waits() -> None:
    assert decode(None) == []
    assert not is_one_over(None, signals=["go"], timers=["sleep"])


@pytest.mark.parametrize(
    ("signals", "timers", "is_over"),
    [
        ([], [], False),
        (["go"], [], True),
        (["stop"], [], False),
        (["sleep"], [], False),
        ([], ["sleep"], True),
        ([], ["signal:go"], True),
        ([], ["go"], False),
        (["stop"], ["pay~1"], True),
    ],
)
def test_a_wait_is_over_by_a_signal_of_its_name_or_by_its_timer(
    signals: list[str], timers: list[str], is_over: bool
) -> None:
    assert is_one_over(WRITTEN, signals=signals, timers=timers) is is_over
