"""Who is taken for living."""

import uuid

from argosy.workers.dispatch.ownership.members import NEW_S, Members
from argosy.workers.dispatch.ring import Member
from tests.harness.hand_clock import HandClock

ME, OTHER = uuid.UUID(int=1), uuid.UUID(int=2)


def member(worker_id: uuid.UUID, *, is_alive: bool = True, is_draining: bool = False) -> Member:
    return Member(worker_id, worker_id.int, "default", f"127.0.0.1:{worker_id.int}", is_draining, is_alive)


def test_who_is_not_known_yet_is_taken_for_living_for_a_moment() -> None:
    """Else a worker that has just begun would run again what a living one is about to hand over."""
    clock = HandClock()
    members = Members(clock, ME, "default")

    assert members.is_living(OTHER)
    clock.now_s += NEW_S - 0.01
    assert members.is_living(OTHER)
    clock.now_s += 0.02
    assert not members.is_living(OTHER)


def test_who_is_known_lives_or_not_at_once() -> None:
    members = Members(HandClock(), ME, "default")
    members.is_living(OTHER)

    members.told([member(ME), member(OTHER, is_alive=False)])

    assert not members.is_living(OTHER)
    assert members.address_of(OTHER) == ""
    assert members.is_living(ME)


def test_company_is_who_could_take_over() -> None:
    members = Members(HandClock(), ME, "default")
    members.told([member(ME), member(OTHER, is_draining=True)])
    assert not members.has_company
    members.told([member(ME), member(OTHER)])
    assert members.has_company
