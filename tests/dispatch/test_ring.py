"""Who watches whom, who looks when, who takes over what: tables."""

import uuid

import pytest

from argosy.workers.dispatch.ring import (
    LOOK_S,
    RingWorker,
    adopter,
    beat_after_s,
    look_after_s,
    neighbour,
)


def worker(number: int, *, lane: str = "default", is_draining: bool = False, is_alive: bool = True) -> RingWorker:
    return RingWorker(uuid.UUID(int=number), number, lane, f"127.0.0.1:{number}", is_draining, is_alive)


@pytest.mark.parametrize(
    ("numbers", "dead", "me", "expected"),
    [
        ([1], [], 1, None),
        ([1, 2], [], 1, 2),
        ([1, 2], [], 2, 1),
        ([1, 2, 3], [], 3, 1),
        ([1, 2, 3], [2], 1, 3),
        ([1, 2, 3], [2, 3], 1, None),
        ([5, 9, 7], [], 7, 9),
    ],
)
def test_everybody_watches_the_next_living_one_in_the_ring(
    numbers: list[int], dead: list[int], me: int, expected: int | None
) -> None:
    watched = neighbour([worker(number, is_alive=number not in dead) for number in numbers], me)

    assert (watched.worker_no if watched else None) == expected


def test_every_living_worker_is_watched_by_exactly_one() -> None:
    workers = [worker(number, is_alive=number % 3 > 0) for number in range(1, 20)]
    living = [each.worker_no for each in workers if each.is_alive]

    watched = [each.worker_no for number in living if (each := neighbour(workers, number))]

    assert sorted(watched) == living


@pytest.mark.parametrize(
    ("numbers", "dead", "me", "is_first_round", "turns"),
    [
        ([], [], 4, True, 1),  # nothing is known yet
        ([1, 2, 3], [], 1, True, 1),
        ([1, 2, 3], [], 3, True, 3),
        ([1, 2, 3], [2], 3, True, 2),
        ([1, 2, 3], [], 1, False, 3),
        ([1, 2, 3], [3], 3, False, 3),  # it lives, whatever the others say of it
    ],
)
def test_the_living_take_turns_in_looking_after_the_others(
    numbers: list[int], dead: list[int], me: int, is_first_round: bool, turns: int
) -> None:
    workers = [worker(number, is_alive=number not in dead) for number in numbers]

    assert look_after_s(workers, me, is_first_round=is_first_round) == turns * LOOK_S


@pytest.mark.parametrize(
    ("living", "dead", "interval_s", "ttl_s", "expected"),
    [
        (0, 0, 1.0, 10.0, 1.0),  # nothing is known yet
        (1, 0, 1.0, 10.0, 1.0),
        (2, 0, 1.0, 10.0, 2.0),
        (2, 5, 1.0, 10.0, 2.0),
        (3, 0, 1.0, 10.0, 2.5),
        (100, 0, 1.0, 10.0, 2.5),  # three beats may be lost, then it is dead
        (100, 0, 3.0, 10.0, 3.0),  # never more often than was asked for
    ],
)
def test_many_workers_beat_more_rarely_but_never_so_rarely_that_one_late_beat_is_a_death(
    living: int, dead: int, interval_s: float, ttl_s: float, expected: float
) -> None:
    workers = [worker(number, is_alive=number <= living) for number in range(1, living + dead + 1)]

    assert beat_after_s(workers, interval_s=interval_s, ttl_s=ttl_s) == expected


def test_the_living_share_what_nobody_owns_and_all_come_to_the_same_answer() -> None:
    workers = [worker(number) for number in (1, 2, 3)]

    shares = [adopter(partition, "default", workers) for partition in range(64)]

    assert {each: shares.count(each) for each in shares} == {
        uuid.UUID(int=1): 24,
        uuid.UUID(int=2): 19,
        uuid.UUID(int=3): 21,
    }
    assert shares == [adopter(partition, "default", workers[::-1]) for partition in range(64)]


def test_only_what_the_dead_one_had_moves_when_one_more_dies() -> None:
    workers = [worker(number) for number in (1, 2, 3)]
    fewer = [workers[0], workers[1], worker(3, is_alive=False)]

    before = [adopter(partition, "default", workers) for partition in range(64)]
    after = [adopter(partition, "default", fewer) for partition in range(64)]

    moved = {was for was, now in zip(before, after, strict=True) if was != now}
    assert moved == {uuid.UUID(int=3)}


@pytest.mark.parametrize(
    "others",
    [[], [worker(2, lane="gpu")], [worker(2, is_draining=True)], [worker(2, is_alive=False)]],
    ids=["nobody", "another lane", "one that leaves", "a dead one"],
)
def test_nobody_takes_over_who_could_not_run_it(others: list[RingWorker]) -> None:
    assert adopter(0, "default", others) is None
