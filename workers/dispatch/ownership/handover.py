"""What an owner that lets a partition go, or has lost it, leaves to the next one.

Rules:
- From the first moment on nothing new begins in its turns; steps in flight run to their end, HANDOVER_S at the most.
- The note comes first, when what becomes of the flush in flight is known: which turns still have a step here, or an
  outcome that is not in Postgres. Every other turn may go on elsewhere at once.
- Then, per turn, each outcome as a row `step_result`, and last of all `handover`. Rows need no epoch: they are facts,
  and the owner of the turn records them under its own.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.ranges import in_ranges
from argosy.rounds import Rounds
from argosy.store.fault import Fault
from argosy.store.partition import Partitions, ResultRow
from argosy.workers.dispatch.execution.journal import STEP_OUTCOMES
from argosy.workers.dispatch.flush.flusher import Flusher
from argosy.workers.dispatch.tasks import Background
from argosy.workers.dispatch.turn import EventWrite, Owned, Resume, Stop, Turn

log = structlog.get_logger()

_RETRY_S = 0.25
_FAILURES_MAX = 5

# (turn_id, runner) of turns that were held here for somebody else's step.
Held = list[tuple[uuid.UUID, str]]


class Loss(NamedTuple):
    """A partition that is given away, and what memory knew in the moment when it was."""

    owned: Owned
    turns: list[Turn]
    has_unread: bool
    is_taking_up: bool


def undelivered(turn: Turn) -> list[EventWrite]:
    """Outcomes of steps that Postgres does not have from here, the latest word of each key."""
    events = [*turn.unwritten, *turn.events, *(turn.journal.outcomes if turn.journal is not None else ())]
    return list({each.key: each for each in events if each.type in STEP_OUTCOMES}.values())


def in_flight(turn: Turn) -> bool:
    """Whether a step of it runs here."""
    return turn.journal is not None and turn.stop is Stop.HANDOVER and bool(turn.journal.active)


def is_settled(owned: Owned, turns: Iterable[Turn], *, has_unread: bool, is_taking_up: bool) -> bool:
    """Whether every turn that is running in Postgres may go on with the same attempt. Not one whose former owner died
    or said nothing, before Postgres has it that it began again here; nor one whose step was broken off to end it, which
    is not written yet. has_unread: heads were never looked at; is_taking_up: what was held is about to begin again.
    """
    are_heads_known = owned.resume is Resume.MOVED or (owned.is_open and not has_unread)
    is_open_question = is_taking_up or any(
        turn.stop in (Stop.CANCEL, Stop.EXPIRE) or (turn.goes_on_as_found and turn.resume is not Resume.MOVED)
        for turn in turns
    )
    return are_heads_known and not is_open_question


def rows_of(turn: Turn, outcomes: Iterable[EventWrite], runner: str, *, is_last: bool) -> list[ResultRow]:
    """What is delivered of a turn. runner: who got the outcomes; is_last: it runs nothing of the turn any more."""

    def row(kind: str, name: str, key: str, request_id: str, payload: bytes | None) -> ResultRow:
        return ResultRow(
            turn.bucket, turn.tenant, turn.session_id, turn.turn_id, kind, name, key, request_id, payload
        )  # fmt: skip

    rows = [row("step_result", each.type.value, each.key, f"{runner}/{each.key}", each.data) for each in outcomes]
    if is_last:
        rows.append(row("handover", runner, "", runner, None))
    return rows


def parts_of(rows: list[ResultRow], size_bytes_max: int) -> Iterator[list[ResultRow]]:
    """The rows in order, in parts of so many bytes beyond their last row."""
    part: list[ResultRow] = []
    room = size_bytes_max
    for row in rows:
        part.append(row)
        room -= len(row.payload or b"")
        if room <= 0:
            yield part
            part, room = [], size_bytes_max
    if part:
        yield part


class Handover:
    """Gives partitions away. on_done(turn) is called when nothing of a turn runs here any more; on_told(turn) when
    there is something to be read by its owner. until_known(owned) returns when it is known what the owner before left;
    held_of(owned) takes what was held here for others' steps; has_unread(owned), is_taking_up(owned): see is_settled.
    """

    def __init__(
        self,
        partitions: Partitions,
        flusher: Flusher,
        clock: Clock,
        background: Background,
        worker_id: uuid.UUID,
        *,
        bound_s: float,
        size_bytes_max: int,
        until_known: Callable[[Owned], Awaitable[None]],
        held_of: Callable[[Owned], Held],
        has_unread: Callable[[Owned], bool],
        is_taking_up: Callable[[Owned], bool],
        on_done: Callable[[Turn], None],
        on_told: Callable[[Turn], None],
    ) -> None:
        self._partitions = partitions
        self._flusher = flusher
        self._clock = clock
        self._worker_id = worker_id
        self._bound_s = bound_s
        self._size_bytes_max = size_bytes_max
        self._until_known = until_known
        self._held_of = held_of
        self._has_unread = has_unread
        self._is_taking_up = is_taking_up
        self._on_done = on_done
        self._on_told = on_told
        self._background = background
        self._rounds = Rounds("handover", clock)
        # Whether steps in flight are waited for.
        self._is_patient = True

    def wait_no_longer(self) -> None:
        """From here on what steps have come to is delivered, and those in flight are not waited for: nobody is there
        whom it would help, and whoever comes next finds this worker dead and runs them again.
        """
        self._is_patient = False

    def stop_starting(self, turns: Iterable[Turn]) -> None:
        """Nothing new begins in those of them that run."""
        for turn in turns:
            if turn.execution is not None and turn.stop is None and not turn.has_ended:
                turn.stop = Stop.HANDOVER

    def begin(self, parts: list[tuple[Owned, list[Turn]]]) -> None:
        """Partitions are lost, or everything of them is written: leave the notes, then deliver. With each, the
        turns of it that memory knows.
        """
        losses = []
        for owned, turns in parts:
            self.stop_starting(turns)
            losses.append(Loss(owned, turns, self._has_unread(owned), self._is_taking_up(owned)))
        if opened := [each for each in losses if each.owned.is_open]:
            self._background.spawn(self._give(opened))
        for each in losses:
            if not each.owned.is_open:  # what the owner before left goes on to the next one with our own note
                self._background.spawn(self._give([each]))

    def give_back(self, turns: list[Turn], back: Callable[[list[Turn]], Awaitable[None]]) -> None:
        """Borrowed turns go back to their owners, once nothing of them runs here and all is told. One of which it is
        not certain how it goes on stays lent: its owner finds out when this process is gone.
        """
        certain = [
            turn
            for turn in turns
            if (turn.execution is None or turn.stop is Stop.HANDOVER)
            and not turn.has_ended
            and not (turn.goes_on_as_found and turn.resume is not Resume.MOVED)
        ]
        self._background.spawn(self._give_back(certain, back))

    async def _give_back(self, turns: list[Turn], back: Callable[[list[Turn]], Awaitable[None]]) -> None:
        await self._flusher.answered()
        idle = [turn for turn in turns if not (in_flight(turn) or undelivered(turn))]
        for turn in turns:
            if turn not in idle:
                self._background.spawn(self._deliver_and_give_back(turn, back))
        for turn in idle:
            self._on_done(turn)
        if idle:
            await self._insist(lambda: back(idle))

    async def _deliver_and_give_back(self, turn: Turn, back: Callable[[list[Turn]], Awaitable[None]]) -> None:
        await self._deliver(turn, f"{self._worker_id}/lent")
        if not in_flight(turn):
            await self._insist(lambda: back([turn]))

    async def _give(self, losses: list[Loss]) -> None:
        await self._flusher.answered()
        for each in losses:
            await self._until_known(each.owned)
        note: list[tuple[int, uuid.UUID, str]] = []
        kept: list[tuple[Turn, str]] = []
        for owned, turns, _, _ in losses:
            runner = f"{self._worker_id}/{owned.epoch}"
            for turn in turns:
                if in_flight(turn) or undelivered(turn):
                    kept.append((turn, runner))
                    note.append((owned.partition, turn.turn_id, runner))
                else:
                    with self._rounds.outlive(turn_id=str(turn.turn_id)):
                        self._on_done(turn)
            note += [(owned.partition, *each) for each in self._held_of(owned)]
        partitions, epochs = [each.owned.partition for each in losses], [each.owned.epoch for each in losses]
        # Only now is it known what Postgres has of them.
        settled = [
            is_settled(each.owned, each.turns, has_unread=each.has_unread, is_taking_up=each.is_taking_up)
            for each in losses
        ]
        telemetry.HANDOVERS.labels(outcome="given").inc(len(losses))
        await self._insist(lambda: self._partitions.give(partitions, epochs, settled, note))
        log.info(telemetry.PARTITIONS_GIVEN, partitions=in_ranges(sorted(partitions)), turns_in_flight=len(kept))
        for turn, runner in kept:
            self._background.spawn(self._deliver(turn, runner))

    async def _deliver(self, turn: Turn, runner: str) -> None:
        """Outcomes as they come, then the end."""
        moved = asyncio.Event()
        if turn.journal is not None:
            turn.journal.hand_over(moved.set)
        told: set[str] = set()
        try:
            async with asyncio.timeout(self._bound_s):
                while True:
                    moved.clear()
                    is_over = not in_flight(turn)
                    fresh = [each for each in undelivered(turn) if each.key not in told]
                    if fresh and not is_over:
                        await self._tell(turn, rows_of(turn, fresh, runner, is_last=False))
                        told.update(each.key for each in fresh)
                    if is_over:
                        await self._tell(turn, rows_of(turn, fresh, runner, is_last=True))
                        break
                    if not self._is_patient:
                        log.warning(telemetry.HANDOVER_LATE, turn_id=str(turn.turn_id), bound_s=0)
                        break
                    await moved.wait()
        except TimeoutError:
            log.warning(telemetry.HANDOVER_LATE, turn_id=str(turn.turn_id), bound_s=self._bound_s)
        finally:
            self._on_done(turn)

    async def _tell(self, turn: Turn, rows: list[ResultRow]) -> None:
        for part in parts_of(rows, self._size_bytes_max):
            await self._insist(partial(self._partitions.write_results, part))
        self._on_told(turn)

    async def _insist(self, write: Callable[[], Awaitable[None]]) -> None:
        """Until it is written: what is said here is known nowhere else. What can never be written is given up, and
        said: whoever waits for it waits no longer than HANDOVER_S, and runs the step again.
        """
        failures = 0
        while True:
            try:
                await write()
                return
            except Exception as error:
                fault = self._rounds.say(error)
                failures += fault in (Fault.CONTENT, Fault.BUG)
                if fault is Fault.END or failures >= _FAILURES_MAX:
                    raise
                await self._clock.sleep(_RETRY_S)
