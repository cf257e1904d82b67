"""Who is accused of a crash, and how long it takes until the right one is found: the rules alone, in simulated time."""

import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from argosy.turn.trial import Kind, Trial
from argosy.workers.dispatch.execution.crash_rule import Run, shrunk, weigh
from tests.dispatch.crash_world import Code, Row, World

LONG_S = 600.0


def kills_after(delay_s: float, jitter: float = 0.0) -> Code:
    """A turn that ends its worker after so long, each time that it begins, give or take a share of that."""

    def draw(dice: random.Random) -> float:
        return delay_s * dice.uniform(1 - jitter, 1 + jitter)

    return Code(0.0, None, draw)


def guilty_of(world: World) -> list[Row]:
    return [row for row in world.rows if row.code.kills_s is not None]


def innocent_of(world: World) -> list[Row]:
    return [row for row in world.rows if row.code.kills_s is None]


def bound(slots: int) -> float:
    return math.log2(slots) + 2


def run(
    codes: Sequence[Code],
    *,
    seed: int = 1,
    workers: int = 2,
    slots: int = 256,
    kills: Sequence[float] = (),
    handed_on: float = 0.0,
) -> World:
    world = World(codes, seed=seed, workers=workers, slots=slots, kills=kills, handed_on=handed_on)
    world.run()
    return world


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("slots", [8, 16, 64, 256])
@pytest.mark.parametrize("delay_s", [0.05, 1.0, 10.0, 60.0])
def test_one_that_kills_among_as_many_as_there_are_slots_is_parked_alone_after_few_deaths(
    workers: int, slots: int, delay_s: float
) -> None:
    for seed in range(3):
        codes = [*([Code(LONG_S)] * (slots - 1)), kills_after(delay_s)]

        world = run(codes, seed=seed, workers=workers, slots=slots)

        assert [row.status for row in guilty_of(world)] == ["parked"]
        assert len(world.deaths) <= bound(slots)
        assert all(row.status == "completed" for row in innocent_of(world))


@pytest.mark.parametrize("jitter", [0.1, 0.3])
def test_one_that_kills_now_sooner_now_later_is_found_too(jitter: float) -> None:
    for seed in range(5):
        world = run([*([Code(LONG_S)] * 99), kills_after(20.0, jitter)], seed=seed)

        assert [row.status for row in guilty_of(world)] == ["parked"]
        assert len(world.deaths) <= 2 * bound(256)
        assert all(row.status == "completed" for row in innocent_of(world))


def test_one_that_kills_at_any_moment_is_found_because_its_trials_become_longer() -> None:
    by_chance = Code(0.0, None, lambda dice: dice.expovariate(1 / 10.0))
    for seed in range(5):
        world = run([*([Code(LONG_S)] * 63), by_chance], seed=seed)

        assert [row.status for row in guilty_of(world)] == ["parked"]
        assert len(world.deaths) <= 5 * bound(256)


CODES = st.one_of(
    st.builds(lambda: Code(0.1)),
    st.builds(lambda: Code(3.0)),
    st.builds(lambda: Code(60.0)),
    st.builds(lambda: Code(60.0, 1.0)),
    st.builds(lambda: Code(LONG_S)),
)


# One that kills after 10 s beside short trials, each over by then, and one after 60 s beside those of the two others.
@example(
    innocent=[
        Code(3.0),
        Code(LONG_S),
        Code(60.0, 1.0),
        Code(0.1),
        Code(LONG_S),
        Code(LONG_S),
        Code(LONG_S),
        Code(3.0),
    ],
    times=6,
    delays_s=[60.0, 10.0, 1.0],
    workers=1,
    slots=256,
    seed=141,
)
# For want of slots one turn alone begins of a group of several, beside one that is about to kill.
@example(
    innocent=[
        *([Code(3.0)] * 2),
        Code(LONG_S),
        Code(60.0),
        *([Code(LONG_S)] * 2),
        Code(60.0, 1.0),
        Code(3.0),
        Code(LONG_S),
        Code(3.0),
        Code(60.0, 1.0),
    ],
    times=19,
    delays_s=[60.0, 60.0, 10.0],
    workers=1,
    slots=64,
    seed=405141,
)
# One that kills after 3 s, and one after 10 s, were kept from it so far by one that kills at once: two trials alone of
# an innocent turn are not theirs to end.
@example(innocent=[Code(3.0)] * 4, times=4, delays_s=[10.0, 3.0, 0.3], workers=1, slots=64, seed=3687)
@example(innocent=[Code(3.0)] * 8, times=1, delays_s=[0.3, 10.0, 3.0], workers=3, slots=64, seed=1282)
@settings(max_examples=150, deadline=None)
@given(
    innocent=st.lists(CODES, min_size=1, max_size=12),
    times=st.integers(1, 30),
    delays_s=st.lists(st.sampled_from([0.02, 0.3, 1.0, 3.0, 10.0, 60.0]), min_size=1, max_size=3),
    workers=st.integers(1, 3),
    slots=st.sampled_from([64, 256]),
    seed=st.integers(0, 10**6),
)
def test_whatever_runs_the_guilty_are_parked_and_nobody_else(
    innocent: list[Code], times: int, delays_s: list[float], workers: int, slots: int, seed: int
) -> None:
    codes = innocent * times + [kills_after(delay_s) for delay_s in delays_s]
    random.Random(seed).shuffle(codes)

    world = run(codes, seed=seed, workers=workers, slots=slots)

    assert all(row.status == "parked" for row in guilty_of(world))
    assert [row.number for row in innocent_of(world) if row.status != "completed"] == []
    # Those that kill sooner hide the others for a while: of several it is the sum that is bounded.
    assert len(world.deaths) <= bound(slots) * len(delays_s) + 2 * (len(delays_s) - 1)


@pytest.mark.parametrize("handed_on", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("delay_s", [0.001, 0.05, 1.0])
def test_one_that_kills_is_found_though_the_log_hands_turns_on_between_its_kills(
    delay_s: float, handed_on: float
) -> None:
    """Also when it kills before its start is recorded: the first such death alone leaves nothing that counts."""
    for seed in range(5):
        codes = [*([Code(LONG_S)] * 60), *([Code(60.0, 1.0)] * 3), kills_after(delay_s)]

        world = run(codes, seed=seed, slots=64, handed_on=handed_on)

        assert [row.status for row in guilty_of(world)] == ["parked"]
        assert len(world.deaths) <= bound(64) + 1
        assert all(row.status == "completed" for row in innocent_of(world))


def test_all_that_ran_at_two_kills_begin_again_as_soon_as_somebody_has_them() -> None:
    world = run([Code(LONG_S)] * 200, kills=(20.0, 29.0))

    assert len(world.deaths) == 2
    assert all(not [at_s for at_s in row.began_s if at_s > 29.0 + 3.0] for row in world.rows)
    assert all(row.status == "completed" for row in world.rows)


def test_workers_that_are_killed_from_outside_park_nobody_in_ten_kills() -> None:
    for gap_s in (3.0, 10.0, 45.0):
        kills = [gap_s * number for number in range(1, 11)]

        world = run([Code(LONG_S)] * 100, kills=kills)

        assert len(world.deaths) == 10
        assert all(row.status == "completed" for row in world.rows)


def test_a_turn_that_is_the_only_one_is_parked_by_the_fifth_kill_and_not_before() -> None:
    four = run([Code(LONG_S)], workers=1, kills=(5.0, 10.0, 15.0, 20.0))
    five = run([Code(LONG_S)], workers=1, kills=(5.0, 10.0, 15.0, 20.0, 25.0))

    assert four.rows[0].status == "completed"
    assert five.rows[0].status == "parked"


def test_what_nothing_is_known_against_starts_while_suspects_wait() -> None:
    """Fresh turns that come while one that kills is searched for among long ones are run as ever."""
    codes = [*([Code(LONG_S)] * 64), kills_after(1.0), *([Code(0.1)] * 600)]

    world = run(codes, workers=2, slots=64)

    quick = [row.ended_s for row in world.rows if row.code.ends_s == 0.1]
    assert all(ended_s is not None and ended_s < 120.0 for ended_s in quick)
    assert [row.status for row in guilty_of(world)] == ["parked"]


# The rule itself

NOW_S = 1_000.0


@pytest.mark.parametrize(
    ("size", "expected"), [(1, 1), (2, 1), (8, 1), (9, 3), (16, 4), (64, 16), (100, 25), (256, 64)]
)
def test_a_group_is_at_most_half_of_what_was_accused_together(size: int, expected: int) -> None:
    assert shrunk(size) == expected <= max(1, size // 2)


def weighed(
    crashes: int, known: Trial | None = None, *, is_crash: bool = True, attempt: int = 4
) -> tuple[Run, int, int, int]:
    found = weigh(crashes, known, attempt, is_crash=is_crash, now_s=NOW_S, watch_s_max=120.0)
    return found.run, found.crashes, found.size, found.alone


def on_trial(size: int, alone: int = 0, kind: Kind = Kind.TRIED, attempt: int = 4, until_s: float = NOW_S + 5) -> Trial:
    return Trial(kind, attempt, NOW_S - 5, size, alone, 10.0, until_s=until_s)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (weighed(0, is_crash=False), (Run.FREE, 0, 0, 0)),
        (weighed(2, is_crash=False), (Run.FREE, 2, 0, 0)),
        (weighed(0), (Run.TOGETHER, 1, 0, 0)),
        (weighed(1), (Run.TOGETHER, 2, 0, 0)),
        (weighed(2), (Run.TRIED, 3, 0, 0)),
        (weighed(3, on_trial(64)), (Run.TRIED, 4, 16, 0)),
        (weighed(5, on_trial(4)), (Run.TRIED, 6, 1, 0)),
        (weighed(6, on_trial(1)), (Run.TRIED, 7, 1, 1)),
        (weighed(7, on_trial(1, alone=1)), (Run.PARK, 8, 1, 2)),
        (weighed(4, on_trial(16), is_crash=False), (Run.TRIED, 4, 16, 0)),  # handed over in the middle of it
        (weighed(4, on_trial(16, kind=Kind.ADJOURNED)), (Run.TRIED, 5, 16, 0)),
        (weighed(4, on_trial(16, kind=Kind.WAITS)), (Run.TRIED, 4, 16, 0)),  # it did not run
        (weighed(2, on_trial(0, kind=Kind.WAITS)), (Run.TOGETHER, 2, 0, 0)),
        (weighed(1, on_trial(0, kind=Kind.SPARED)), (Run.TOGETHER, 2, 0, 0)),
        (weighed(2, on_trial(0, kind=Kind.BESIDE)), (Run.TOGETHER, 2, 0, 0)),  # others were on trial
        (weighed(2, on_trial(0, kind=Kind.BESIDE, until_s=NOW_S - 1)), (Run.TRIED, 3, 0, 0)),  # that was over
        (weighed(2, on_trial(0, kind=Kind.BESIDE, until_s=0.0)), (Run.TOGETHER, 2, 0, 0)),  # an earlier version's
        (weighed(3, on_trial(16, attempt=3)), (Run.TRIED, 4, 0, 0)),  # an earlier version has had it since
    ],
)
def test_how_a_turn_begins_depends_on_what_it_did_in_its_last_crash(
    found: tuple[Run, int, int, int], expected: tuple[Run, int, int, int]
) -> None:
    assert found == expected


def test_one_that_kills_beside_the_trials_of_others_again_and_again_is_accused_in_the_end() -> None:
    known, crashes = on_trial(0, kind=Kind.BESIDE), 2
    for _ in range(10):
        standing = weigh(crashes, known, 4, is_crash=True, now_s=NOW_S, watch_s_max=120.0)
        crashes = standing.crashes
        known = Trial(Kind.BESIDE, 4, NOW_S - 5, beside=standing.beside, until_s=NOW_S + 5)

    assert crashes > 2
