"""Who is accused of a crash, and how long it takes until the right one is found: the rules alone, in simulated time."""

import math
import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from argosy.turn.trial import Kind, Trial
from argosy.workers.dispatch.execution.crash_rule import Run, Standing, shrunk, weigh
from argosy.workers.dispatch.execution.suspects import Suspects
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


# Who begins when in one process

TRIED = Standing(Run.TRIED, 3, 16, watch_s=10.0)
TOGETHER = Standing(Run.TOGETHER, 1, ran_s=1.0, watch_s=2.0)


def begun(suspects: Suspects[str], now_s: float, room: int = 100) -> list[str]:
    return [turn for turn, _, _ in suspects.look(now_s, room).begin]


def gather(suspects: Suspects[str], *turns: str, standing: Standing = TRIED, now_s: float = 0.0) -> None:
    for turn in turns:
        assert not suspects.meet(turn, standing, "a", now_s)


@pytest.mark.parametrize("ends", [lambda suspects: suspects.gone("a"), lambda suspects: None])
def test_the_next_group_begins_when_the_one_before_is_gone_or_has_lived_through_its_trial(
    ends: Callable[[Suspects[str]], None],
) -> None:
    suspects: Suspects[str] = Suspects(100)
    gather(suspects, "a", "b", standing=TRIED._replace(size=1))
    assert begun(suspects, 1.0) == ["a"]
    assert begun(suspects, 10.9) == []

    ends(suspects)
    moves = suspects.look(11.0, 100)

    assert [turn for turn, _, _ in moves.begin] == ["b"]
    assert len(moves.spared) in (0, 1)


def test_turns_of_a_first_crash_wait_for_a_trial_but_not_for_long() -> None:
    suspects: Suspects[str] = Suspects(100)
    gather(suspects, "a")
    assert begun(suspects, 1.0) == ["a"]

    gather(suspects, "b", standing=TOGETHER, now_s=2.0)
    assert begun(suspects, 6.9) == []
    moves = suspects.look(7.0, 100)

    assert [turn for turn, _, _ in moves.adjourned] == ["a"]
    assert [turn for turn, _, _ in moves.begin] == ["b"]


def test_a_group_begins_when_what_was_in_a_crash_lately_is_told_apart_from_it() -> None:
    suspects: Suspects[str] = Suspects(100)
    assert suspects.meet("young", TOGETHER, "a", 0.0)
    gather(suspects, "a")

    assert begun(suspects, 1.9) == []
    assert begun(suspects, 2.0) == ["a"]


def test_a_group_takes_free_slots_only_and_half_of_all_are_kept_for_it() -> None:
    suspects: Suspects[str] = Suspects(4)
    gather(suspects, "a", "b", "c")

    assert begun(suspects, 1.0, room=0) == []
    assert suspects.reserved == 2
    assert begun(suspects, 1.1, room=2) == ["a", "b"]
    assert suspects.reserved == 0


def test_what_is_left_of_a_group_for_want_of_slots_is_tried_alone_as_carefully_as_any_other() -> None:
    """Beside it runs a turn that once ran for 60 s before a crash, and may be about to do so again."""
    suspects: Suspects[str] = Suspects(100)
    assert suspects.meet("late", TOGETHER._replace(ran_s=30.0, watch_s=45.0, longest_s=60.0), "a", 0.0)
    gather(suspects, "a", "b", standing=TRIED._replace(size=2), now_s=50.0)

    assert begun(suspects, 51.0, room=1) == []
    assert begun(suspects, 54.0, room=1) == []
    assert suspects.reserved == 2

    assert begun(suspects, 54.1, room=2) == ["a", "b"]


def test_a_turn_is_told_of_each_trial_beside_which_it_runs_and_how_long_that_takes() -> None:
    suspects: Suspects[str] = Suspects(100)
    assert suspects.meet("beside", TOGETHER._replace(ran_s=100.0), "a", 0.0)
    gather(suspects, "a", "b", standing=TRIED._replace(size=1))

    told = [suspects.look(at_s, 100).beside for at_s in (1.0, 5.0, 11.0)]

    told_of = [[(turn, trial_s) for turn, _, trial_s in each] for each in told]
    assert told_of == [[("beside", 10.0)], [], [("beside", 10.0), ("a", 10.0)]]  # which lived through its own


def test_tenants_take_turns_in_groups() -> None:
    suspects: Suspects[str] = Suspects(100)
    for number in range(16):
        suspects.meet(f"many-{number}", TRIED._replace(size=2), "flood", 0.0)
    suspects.meet("one", TRIED._replace(size=2), "quiet", 0.1)

    assert "one" in begun(suspects, 1.0)


def test_who_waits_is_told_behind_how_many_groups_and_until_when() -> None:
    suspects: Suspects[str] = Suspects(100)
    gather(suspects, "a", "b", "c", standing=TRIED._replace(size=1))

    waits = {each.turn: (each.behind, each.until_s) for each in suspects.look(1.0, 100).waits}

    assert waits == {"b": (1, 11.0), "c": (2, 21.0)}
