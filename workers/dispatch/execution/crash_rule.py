"""What a crash says about the turns that ran in it, and how each of them runs again. Pure.

A crash is not an attempt, and it accuses few turns. What is known against a turn is durable with its start
(turns.crashes, turns.trial) before any of its code runs, so the search goes on at whichever worker has the turn next:

- A turn that was in one or two crashes since it last made progress (an outcome of a step was recorded) runs again at
  once, with all others. One crash is an accident; after two the turn is a suspect, and the first group is all suspects.
- From the third crash on, suspects are tried in groups, one group at a time in a process (suspects.py), each at most a
  quarter of the turns that were accused together. A crash while a group is on trial counts against the group, and its
  members go on in groups of a quarter of its size; eight or fewer are tried alone. Suspects that waited meanwhile did
  not run, and are not accused.
- A turn that ran beside a group on trial begins again at once, and only every sixth such crash in a row counts against
  it: so innocent turns are left alone, and a turn that kills beside the trials of others is found all the same. A crash
  after that trial was over is nobody's but theirs who ran, and counts against all of them.
- A turn that was the only one on trial in two crashes is parked. One of the two may be the doing of another turn.
- A turn that recorded an outcome is free. A turn that lived through its trial, which takes half as long again as it ran
  before its last crash with the others, stands as after one crash. If it is accused again, it is watched for at least
  twice that long, so that a turn that kills later, or by chance, is found, too.

Of 256 suspects, one that kills is found in 3 crashes + groups of 64, 16, 4 + 2 alone: 8 crashes; of n <= slots, in no
more than log2(slots) + 2 from eight slots on. (One more if it kills in the 20 ms before its first start is recorded.)

A turn that begins or wakes up, and kills before that is recorded, leaves no trace of its own. All that is known is that
an owner of its partition died (partitions.crashed_at), and that nothing of the turn was written since. Until something
is, its code begins only when its start is durable, whichever worker has its partition (scheduling/found_turn.py). So
one flush clears an innocent turn, and the crash of a guilty one is counted.
"""

from enum import Enum
from typing import Final, NamedTuple

from argosy.turn.trial import Kind, Trial

TOGETHER_CRASHES: Final = 2
ALONE_CRASHES: Final = 2
BESIDE_CRASHES: Final = 5
SPARED_CRASHES: Final = 1
MARGIN: Final = 1.5  # a turn that kills after some time does not do so to the second
WATCH_S_MIN: Final = 2.0

PARK_REASON: Final = "crashes_its_worker"

# 64, 16, 4: with quarters fewer workers die than with halves, but three groups of a size may have to wait, not one.
_SHARE: Final = 4
_SINGLY_MAX: Final = 8


class Run(Enum):
    """How a turn begins."""

    FREE = "free"  # as if it had been in no crash
    TOGETHER = "together"  # at once, with all others that were in one or two crashes
    TRIED = "tried"  # in a group on trial
    PARK = "park"  # not at all


class Standing(NamedTuple):
    """What is known against a turn that is to begin.

    size: of the largest group that it may be in, 0 for not known yet; alone: crashes in which it was the only one on
    trial; ran_s: how long it ran before its last crash, 0 when that is not known; watch_s: how long it is watched;
    outlived_s: twice the time that it once lived through; beside, longest_s: see Trial.
    """

    run: Run
    crashes: int = 0
    size: int = 0
    alone: int = 0
    ran_s: float = 0.0
    watch_s: float = WATCH_S_MIN
    outlived_s: float = 0.0
    beside: int = 0
    longest_s: float = 0.0


def shrunk(size: int) -> int:
    """Return how many of `size` turns that were accused together are tried at once."""
    return 1 if size <= _SINGLY_MAX else -(-size // _SHARE)


def spared(standing: Standing) -> Standing:
    """Return the standing of a turn that lived through its trial."""
    return Standing(
        Run.TOGETHER,
        SPARED_CRASHES,
        ran_s=standing.ran_s,
        watch_s=standing.watch_s,
        outlived_s=2 * standing.watch_s,
        longest_s=standing.longest_s,
    )


def weigh(
    crashes: int, trial: Trial | None, attempt: int, *, is_crash: bool, now_s: float, watch_s_max: float
) -> Standing:
    """Return how a turn begins, by the crashes, trial and attempt that Postgres has of it. is_crash: it is running in
    Postgres, and its owner died; now_s: database time.
    """
    if trial is not None and trial.attempt != attempt:
        trial = None  # a worker of an earlier version of Argosy has run the turn since
    kind = None if trial is None else trial.kind
    if trial is not None and crashes and kind is Kind.WAITS:
        if crashes <= TOGETHER_CRASHES:
            return Standing(
                Run.TOGETHER, crashes, outlived_s=trial.watch_s, beside=trial.beside, longest_s=trial.longest_s
            )
        return Standing(Run.TRIED, crashes, trial.size, trial.alone, watch_s=trial.watch_s)
    if trial is not None and crashes > TOGETHER_CRASHES and kind in (Kind.TRIED, Kind.ADJOURNED):
        size, alone = trial.size, trial.alone
        if is_crash and kind is Kind.TRIED:
            size, alone = shrunk(size), alone + (size == 1)
        run = Run.PARK if alone >= ALONE_CRASHES else Run.TRIED
        return Standing(run, crashes + is_crash, size, alone, watch_s=trial.watch_s)
    if not is_crash:
        return Standing(Run.FREE, crashes)
    ran_s = outlived_s = longest_s = 0.0
    beside = 0
    if trial is not None:
        ran_s = max(0.0, now_s - trial.at_s)
        longest_s = min(max(ran_s, trial.longest_s), watch_s_max / MARGIN)
        outlived_s = trial.watch_s * (2 if kind is Kind.SPARED else 1)
        # A crash is noticed after it happened, so one at the very end of a trial may count against what ran beside it,
        # too. That costs a trial more, and parks nobody.
        if kind is Kind.BESIDE and trial.beside < BESIDE_CRASHES and (now_s <= trial.until_s or not trial.until_s):
            beside = trial.beside + 1
    crashes += not beside
    run = Run.TOGETHER if crashes <= TOGETHER_CRASHES else Run.TRIED
    watch_s = max(WATCH_S_MIN, MARGIN * ran_s, outlived_s if run is Run.TRIED else 0.0)
    return Standing(run, crashes, 0, 0, ran_s, min(watch_s, watch_s_max), outlived_s, beside, longest_s)
