"""The points of a move at which tests kill: each is of its way forward, or of its way back."""

from typing import Final

from argosy import crash_points

POINTS: Final = [each for each in crash_points.POINTS if each.startswith("move_")]
BACK: Final = ["move_aborting_noted", "move_reopened", "move_aborted_noted"]
FORWARD: Final = [each for each in POINTS if each not in BACK]
CUT_OFF: Final = "move_copied"  # a leader that is killed here leaves a move that the next one gives up
