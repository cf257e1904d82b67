"""A turn that runs at an `Owner` without any code: what its steps and its workflow emit, and its story."""

import uuid
from typing import Any

import msgspec

from argosy.turn.events import Event
from argosy.turn.status import Status
from argosy.workers.dispatch.turn import Turn
from argosy.workflow.channels import WORKFLOW, Channels
from argosy.workflow.open_attempt import OpenAttempt
from argosy.workflow.own_emits import kept_channels
from tests.dispatch.stream.owner import BOUNDS, Owner

STEPS = "ab"

decode = msgspec.json.decode


class Running:
    """Its steps emit text, the workflow itself a list of numbers. events: those that are durable, as Postgres has them;
    emitted: for each try of a step, after which event of the turn it had which length; numbers: after which event each
    was emitted.
    """

    def __init__(self, owner: Owner, name: str) -> None:
        self._owner = owner
        self.turn = owner.turn(name)
        self.events: list[Any] = []
        self.emitted: dict[tuple[str, int], list[tuple[int, int]]] = {}
        self.numbers: list[int] = []
        self._tries = dict.fromkeys(STEPS, 1)
        # Steps whose outcome is not durable yet: they begin again only after that.
        self._open: set[str] = set(STEPS)

    def text_may_be_told(self, step: str, tries: int, length: int) -> bool:
        return next(seq for seq, had in self.emitted[step, tries] if had >= length) <= len(self.events)

    def number_may_be_told(self, number: int) -> bool:
        return self.numbers[number] <= len(self.events)

    def emit(self, step: str, text: str) -> None:
        if step in self._open:
            tries = self._tries[step]
            emitted = self.emitted.setdefault((step, tries), [])
            emitted.append((self.turn.seq, len(text) + (emitted[-1][1] if emitted else 0)))
            self._owner.emit(self.turn, text, step, tries=tries)

    def show(self, *, is_patch: bool) -> None:
        """The workflow shows one more number."""
        number, channels = len(self.numbers), self._attempt.reveal()
        self.numbers.append(self.turn.seq)
        if is_patch and any(each.step == WORKFLOW for each in channels.open()):
            channels.patch(WORKFLOW, 0, "state", [{"op": "add", "path": "/-", "value": number}])
        else:
            channels.replace(WORKFLOW, 0, "state", [number])

    def record(self) -> None:
        self.turn.write(Event.VALUE_RECORDED, uuid.uuid4().hex)

    def end(self, step: str, *, is_retry: bool) -> None:
        if step not in self._open:
            return
        if is_retry:
            self._attempt.clear(step)
            self.turn.write(Event.STEP_RETRYING, step)
        elif filled := self._attempt.take(step):
            self.turn.write(Event.STEP_COMPLETED, step, b'{"channels":%b}' % filled)
        else:
            return
        self._tries[step] += 1
        self._open.discard(step)

    def flush(self) -> None:
        self.events += self.turn.events
        self._owner.flush(self.turn)
        self._open = set(STEPS)

    def suspend_and_resume(self) -> None:
        """It leaves memory, and comes back from what is written: the workflow's code is run again, and shows again what
        it has shown.
        """
        before = self.turn
        for step in STEPS:
            self.end(step, is_retry=False)
        before.status = Status.SUSPENDED
        before.write(Event.TURN_SUSPENDED, "", b"{%b}" % (before.channels.suspended() if before.channels else b""))
        self.flush()
        turn = self.turn = Turn(
            owned=before.owned,
            turn_id=before.turn_id,
            tenant=before.tenant,
            session_id=before.session_id,
            session_name=before.session_name,
            bucket=before.bucket,
            place=before.place,
            workflow=before.workflow,
            priority=0,
            input=b"{}",
            status=Status.RUNNING,
            attempt=before.attempt,
            seq=before.seq,
        )
        self._owner.live[turn.turn_id] = turn
        if (kept := kept_channels(self.events_as_rows(), is_refilled=False)) is not None:
            turn.channels = Channels(BOUNDS, turn, kept)
            turn.channels.listener = self._owner.frame_publisher.listener_of(turn)
            for _ in self.numbers:
                turn.channels.replace(WORKFLOW, 0, "state", "it is passed over")

    def events_as_rows(self) -> list[Any]:
        return [(each.seq, each.attempt, each.type, each.key, each.data) for each in self.events]

    def values(self) -> dict[str, Any]:
        channels = self._attempt.reveal()
        return {each.step: each.text() if each.is_text else decode(each.json()) for each in channels.open()}

    @property
    def _attempt(self) -> OpenAttempt:
        return self._owner.attempt(self.turn)
