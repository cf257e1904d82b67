"""Who is taken for living."""

import uuid

from argosy.workers.dispatch.ownership.known_workers import NEW_S, KnownWorkers
from argosy.workers.dispatch.ring import RingWorker
from tests.harness.hand_clock import HandClock

ME, OTHER = uuid.UUID(int=1), uuid.UUID(int=2)


def worker(worker_id: uuid.UUID, *, is_alive: bool = True, is_draining: bool = False) -> RingWorker:
    return RingWorker(worker_id, worker_id.int, "default", f"127.0.0.1:{worker_id.int}", is_draining, is_alive)


def test_who_is_not_known_yet_is_taken_for_living_for_a_moment() -> None:
    """Else a worker that has just begun would run again what a living one is about to hand over."""
    clock = HandClock()
    known = KnownWorkers(clock, ME, "default")

    assert known.is_living(OTHER)
    clock.now_s += NEW_S - 0.01
    assert known.is_living(OTHER)
    clock.now_s += 0.02
    assert not known.is_living(OTHER)


def test_who_is_known_lives_or_not_at_once() -> None:
    known = KnownWorkers(HandClock(), ME, "default")
    known.is_living(OTHER)

    known.told([worker(ME), worker(OTHER, is_alive=False)])

    assert not known.is_living(OTHER)
    assert known.address_of(OTHER) == ""
    assert known.is_living(ME)


def test_company_is_who_could_take_over() -> None:
    known = KnownWorkers(HandClock(), ME, "default")
    known.told([worker(ME), worker(OTHER, is_draining=True)])
    assert not known.has_company
    known.told([worker(ME), worker(OTHER)])
    assert known.has_company
