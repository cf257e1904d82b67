"""One attempt of a turn, for as long as its code runs: what is under way in it, and where that may emit."""

import asyncio
from typing import Any

from argosy.errors import WorkflowError
from argosy.workflow.channels import Channels
from argosy.workflow.info import PrivateStepInfo, StepInfo
from argosy.workflow.journal import Journal


class OpenAttempt:
    """argosy.workflow.emit.Attempt. Changed on the event loop only; `channels` is asked from any thread.

    operations: under way, by key; failed_tries: of steps, by key; filled: None until something is emitted.
    """

    __slots__ = ("_journal", "failed_tries", "filled", "is_closed", "operations")

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.operations: dict[str, asyncio.Task[Any] | None] = {}
        self.failed_tries: dict[str, int] = {}
        self.filled: Channels | None = None
        self.is_closed = False

    def channels(self, info: StepInfo | None) -> Channels | None:
        if self.is_closed:
            raise WorkflowError("the workflow has ended: nothing of it emits any more")
        if info is not None:
            key = info.step_key
            if key not in self.operations or info.try_number <= self.failed_tries.get(key, 0):
                raise WorkflowError(f"this try of step {key!r} is over: it emits no more")
            if info.__class__ is PrivateStepInfo:
                return None
        if self.filled is None:
            self.filled = self._journal.channels()
        return self.filled
