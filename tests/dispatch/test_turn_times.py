"""What /metrics says of how long turns take."""

import uuid
from typing import Any

import pytest
from prometheus_client import REGISTRY

from argosy import ids
from argosy.turn.status import Status
from argosy.turn.wait import WaitKind, WrittenWait, encode
from argosy.workers.dispatch import turn_times
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.scheduling.found_turn import turn_of
from argosy.workers.dispatch.turn import Turn
from tests.dispatch.joined_parts import SUSPENDED, loaded

MADE_S = 1_800_000_000.0
ID = ids.TurnIdMint("a", "default").mint(0, int(MADE_S * 1_000))
SUSPENDED_EVENT = (2, 1, "turn.suspended", "", b"{}")


class Shown:
    """What a histogram has counted since: how many, and their sum in seconds."""

    def __init__(self, name: str, **labels: str) -> None:
        self._name, self._labels = name, labels
        self._before = self._now()

    def _now(self) -> tuple[float, float]:
        values = [REGISTRY.get_sample_value(f"argosy_{self._name}_{each}", self._labels) for each in ("count", "sum")]
        return values[0] or 0.0, values[1] or 0.0

    @property
    def since(self) -> tuple[float, object]:
        count, sum_s = self._now()
        return count - self._before[0], pytest.approx(sum_s - self._before[1])


def turn(place: int = 1, **known: Any) -> Turn:
    return turn_of(loaded(ID, written_at_s=MADE_S + 2, place=place, **known), Owned(0, 1, (0, 1023)))


def test_the_time_in_the_log_is_that_from_the_gateway_to_the_accept() -> None:
    shown = Shown("turn_log_seconds")
    new, without_place = turn(place=0), turn(place=0)
    new.place_at(7, MADE_S + 0.5)

    turn_times.accepted([new, without_place])

    assert shown.since == (1, 0.5)


def test_a_turn_is_queued_until_it_begins_and_in_all_until_its_end() -> None:
    queued, in_all = Shown("turn_queued_seconds"), Shown("turn_seconds", waited="no")
    new = turn()

    turn_times.goes_on(new, MADE_S + 5)
    turn_times.ended(new, MADE_S + 9)

    assert (queued.since, in_all.since) == ((1, 3.0), (1, 9.0))


def test_the_time_of_a_delayed_turn_begins_when_it_falls_due() -> None:
    queued, in_all = Shown("turn_queued_seconds"), Shown("turn_seconds", waited="no")
    delayed = turn(due_s=MADE_S + 100)

    turn_times.goes_on(delayed, MADE_S + 101)
    turn_times.ended(delayed, MADE_S + 103)

    assert (queued.since, in_all.since) == ((1, 1.0), (1, 3.0))


def test_a_suspended_turn_counts_by_what_it_waited_for_and_is_one_that_waited() -> None:
    suspended, queued = Shown("turn_suspended_seconds", waits_for="signal"), Shown("turn_queued_seconds")
    in_all = Shown("turn_seconds", waited="yes")
    waits = encode([WrittenWait(key="signal:go", kind=WaitKind.SIGNAL, name="go")])
    rested = turn(**SUSPENDED | {"waits": waits})

    turn_times.goes_on(rested, MADE_S + 62)
    turn_times.ended(rested, MADE_S + 63)

    assert (suspended.since, queued.since, in_all.since) == ((1, 60.0), (0, 0.0), (1, 63.0))


def test_a_turn_that_is_read_again_has_waited_when_its_history_says_so() -> None:
    running: dict[str, Any] = {"version": "1", "status": "running", "attempt": 1, "seq": 3}

    assert turn(**running, events=[SUSPENDED_EVENT]).has_waited
    assert not turn(**running).has_waited


def test_a_turn_of_unknown_age_is_not_counted() -> None:
    queued = Shown("turn_queued_seconds")
    unknown = Turn(
        owned=Owned(0, 1, (0, 1023)), turn_id=uuid.uuid4(), tenant="a", session_id=uuid.uuid4(), session_name="s",
        bucket=0, place=1, workflow="echo", priority=0, input=b"null", status=Status.QUEUED,
    )  # fmt: skip

    turn_times.goes_on(unknown, MADE_S)

    assert queued.since == (0, 0.0)


@pytest.mark.parametrize(
    ("waits", "expected"),
    [
        ([("signal", "go")], "signal"),
        ([("signal", "go"), ("signal", "stop")], "signal"),
        ([("signal", "\x01ingest:job")], "ingest"),
        ([("sleep", "")], "sleep"),
        ([("retry", "")], "retry"),
        ([("retry", "a-shard")], "shard"),
        ([("sleep", ""), ("signal", "go")], "several"),
        ([("of a later version", "")], "other"),
        ([], "other"),
    ],
)
def test_what_a_turn_waits_for_is_one_word(waits: list[tuple[str, str]], expected: str) -> None:
    assert turn_times.waits_for([WrittenWait(kind=kind, name=name) for kind, name in waits]) == expected
