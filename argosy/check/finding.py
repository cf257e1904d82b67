"""The findings of a check, and their codes."""

from typing import Final, NamedTuple

# Every code, and what a workflow does that gets it.
CODES: Final = {
    "time": "reads a clock, or sleeps outside the turn",
    "random": "draws something random",
    "io": "reaches outside: files, network, processes, environment",
    "threads": "starts threads or processes, or hands work to them",
    "loop": "runs an event loop of its own, or takes over the turn's",
    "step-call": "calls a step directly instead of through ctx.run",
    "unawaited": "makes an operation and never awaits it",
    "dropped-task": "starts a task that nobody keeps (a note)",
    "global-state": "changes what other turns of the process see",
    "set-order": "runs operations in the order of a set",
    "swallowed-cancel": "catches a cancel in a loop and goes on",
    "attempt": "lets ctx.attempt decide what happens",
    "suppression": "suppresses a code that does not exist (a note)",
}
NOTES: Final = frozenset({"dropped-task", "suppression"})


class Found(NamedTuple):
    """A place in a function, and what is wrong there. line, last_line, offset: as ast counts them."""

    line: int
    offset: int
    last_line: int
    code: str
    message: str


class Finding(NamedTuple):
    """A finding as it is reported. line, column: from 1. workflow: the name of the workflow that runs the code.
    function: the name of the function that the code is in, if that is not the workflow itself. Both are empty for a
    finding about a comment that suppresses an unknown code.
    """

    path: str
    line: int
    column: int
    code: str
    message: str
    function: str
    workflow: str

    @property
    def is_note(self) -> bool:
        """Whether this finding is a note, which endangers no promise of Argosy and does not make the check fail."""
        return self.code in NOTES
