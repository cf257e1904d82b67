"""Which accused turns begin when in one process, and what those that wait are told."""

from collections.abc import Callable

import pytest

from argosy.workers.dispatch.execution.crash_rule import Run, Standing
from argosy.workers.dispatch.execution.suspects import Suspects

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


def test_a_last_trial_waits_until_whoever_runs_beside_it_has_lived_for_long_enough_to_have_killed() -> None:
    suspects: Suspects[str] = Suspects(100)
    assert suspects.meet("young", TOGETHER, "a", 10.0)
    gather(suspects, "once", standing=TRIED._replace(size=1, alone=1))
    gather(suspects, "never", standing=TRIED._replace(size=1))

    assert begun(suspects, 12.0) == ["never"]  # it is not its last
    assert begun(suspects, 100.0) == []
    assert suspects.due_s(100.0) == 2.0  # whoever lived through a trial counts as well

    assert begun(suspects, 102.0) == ["once"]


def test_a_last_trial_begins_in_the_end_though_others_begin_again_and_again() -> None:
    suspects: Suspects[str] = Suspects(100)
    gather(suspects, "once", standing=TRIED._replace(size=1, alone=1))

    for at_s in range(1, 300, 50):
        assert suspects.meet(f"at {at_s}", TOGETHER, "a", at_s)
        assert begun(suspects, at_s + 40.0) == []

    assert begun(suspects, 300.0) == ["once"]


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
