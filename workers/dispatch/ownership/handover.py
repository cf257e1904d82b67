"""The former owner's side of a hand-over: what a worker that gives away or lost a partition leaves to the next owner.

Rules:
- From the first moment on nothing new begins in the partition's turns. Steps in flight run to their end, HANDOVER_S at
  the most.
- The worker writes a note first, once the flush in flight was answered. It lists the turns that still have a step in
  flight here, or an outcome that is not in Postgres. Every other turn may go on at the next owner at once.
- Then it writes, for each turn of the note, every outcome as a row `step_result`, and last of all a row `handover`.
  These rows need no epoch: they are facts, and the turn's owner records them under its own epoch.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.config import Settings
from argosy.ranges import in_ranges
from argosy.rounds import Rounds
from argosy.store.fault import Fault
from argosy.store.partition import Partitions, ResultRow
from argosy.turn.events import STEP_OUTCOMES
from argosy.turn.inbox import RowKind
from argosy.workers.dispatch.flush.flusher import Flusher
from argosy.workers.dispatch.owned import Owned, Resume
from argosy.workers.dispatch.ownership.changes import AfterHandover, Loss
from argosy.workers.dispatch.ownership.takeover import Takeover
from argosy.workers.dispatch.tasks import Background
from argosy.workers.dispatch.turn import Stop, Turn
from argosy.workers.dispatch.writes import EventWrite

log = structlog.get_logger()

_RETRY_S = 0.25  # the next owner waits for what is written
_FAILURES_MAX = 5  # for its content or a bug: no pause mends them


def undelivered(turn: Turn) -> list[EventWrite]:
    """Return the outcomes of the turn's steps that this worker has not written to Postgres: the latest of each key."""
    events = [*turn.unwritten, *turn.events, *(turn.journal.outcomes if turn.journal is not None else ())]
    return list({each.key: each for each in events if each.type in STEP_OUTCOMES}.values())


def in_flight(turn: Turn) -> bool:
    """Whether a step of a turn that is handed over still runs here."""
    return turn.journal is not None and turn.stop is Stop.HANDOVER and bool(turn.journal.active)


def is_settled(owned: Owned, turns: Iterable[Turn], *, has_unread: bool, is_taking_up: bool) -> bool:
    """Whether every turn of the partition that is running in Postgres may go on with its attempt at the next owner.

    These may not: a turn whose former owner died or left no word, until Postgres has it that the turn began again here;
    and a turn whose steps were broken off to end it, when that end is not written yet.

    has_unread: some heads of the partition were never read here. is_taking_up: a turn that was held is about to begin
    again here.
    """
    are_heads_known = owned.resume is Resume.MOVED or (owned.is_open and not has_unread)
    is_open_question = is_taking_up or any(
        turn.stop in (Stop.CANCEL, Stop.EXPIRE) or (turn.goes_on_as_found and turn.resume is not Resume.MOVED)
        for turn in turns
    )
    return are_heads_known and not is_open_question


def rows_of(turn: Turn, outcomes: Iterable[EventWrite], runner: str, *, is_last: bool) -> list[ResultRow]:
    """Return the rows that deliver a turn's outcomes. runner: the worker and epoch under which its steps ran, as
    WORKER/EPOCH; is_last: nothing of the turn runs there any more, so a `handover` row ends the rows.
    """

    def row(kind: RowKind, name: str, key: str, request_id: str, payload: bytes | None) -> ResultRow:
        return ResultRow(
            turn.bucket, turn.tenant, turn.session_id, turn.turn_id, kind, name, key, request_id, payload
        )  # fmt: skip

    rows = [row(RowKind.STEP_RESULT, each.type.value, each.key, f"{runner}/{each.key}", each.data) for each in outcomes]
    if is_last:
        rows.append(row(RowKind.HANDOVER, runner, "", runner, None))
    return rows


def parts_of(rows: list[ResultRow], size_bytes_max: int) -> Iterator[list[ResultRow]]:
    """Split the rows, in order, into parts. The row that takes a part's payloads to size_bytes_max or more ends it."""
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
    """The hand-over of partitions to other owners, and of borrowed turns back to theirs."""

    def __init__(
        self,
        partitions: Partitions,
        flusher: Flusher,
        takeover: Takeover,
        background: Background,
        clock: Clock,
        settings: Settings,
        then: AfterHandover,
    ) -> None:
        self._partitions = partitions
        self._flusher = flusher
        self._takeover = takeover
        self._background = background
        self._clock = clock
        self._worker_id = partitions.worker_id
        self._bound_s = settings.handover_s
        self._size_bytes_max = settings.flush_size_bytes_max
        self._then = then
        self._rounds = Rounds("handover", clock)
        # Whether steps in flight are waited for.
        self._is_patient = True

    def wait_no_longer(self) -> None:
        """Stop waiting for steps in flight: from now on only outcomes that are there already are delivered.

        For a drain without company: no other worker could use the outcomes now, and the next owner will find this
        worker dead and run those steps again.
        """
        self._is_patient = False

    def stop_starting(self, turns: Iterable[Turn]) -> None:
        """Let nothing new begin in those of the turns that run."""
        for turn in turns:
            if turn.execution is not None and turn.stop is None and not turn.has_ended:
                turn.stop_as(Stop.HANDOVER)

    def begin(self, losses: list[Loss]) -> None:
        """Leave the notes of these partitions, then deliver outcomes. They are lost, or all that they had to write is
        written.
        """
        for each in losses:
            self.stop_starting(each.turns)
        if opened := [each for each in losses if each.owned.is_open]:
            self._background.spawn(self._give(opened))
        for each in losses:
            if not each.owned.is_open:  # it waits until the note of the owner before us is known, and passes it on
                self._background.spawn(self._give([each]))

    def give_back(self, turns: list[Turn], back: Callable[[list[Turn]], Awaitable[None]]) -> None:
        """Give borrowed turns back to their owners, by back(turns), once none of their steps runs here and their
        outcomes are delivered.

        A turn stays lent when it is not certain how it goes on: its owner takes it back when this process is gone.
        """
        certain = [
            turn
            for turn in turns
            if (turn.execution is None or turn.stop is Stop.HANDOVER)
            and not turn.has_ended
            and not (turn.goes_on_as_found and turn.resume is not Resume.MOVED)
        ]
        self._background.spawn(self._give_back(certain, back))

    async def delivered(self) -> None:
        """Return when everything is given and delivered, and nothing else is done in the background."""
        await self._background.until_idle()

    async def _give_back(self, turns: list[Turn], back: Callable[[list[Turn]], Awaitable[None]]) -> None:
        await self._flusher.answered()
        idle = [turn for turn in turns if not (in_flight(turn) or undelivered(turn))]
        for turn in turns:
            if turn not in idle:
                self._background.spawn(self._deliver_and_give_back(turn, back))
        for turn in idle:
            self._then.after_handover(turn)
        if idle:
            await self._insist(lambda: back(idle))

    async def _deliver_and_give_back(self, turn: Turn, back: Callable[[list[Turn]], Awaitable[None]]) -> None:
        await self._deliver(turn, f"{self._worker_id}/lent")
        if not in_flight(turn):
            await self._insist(lambda: back([turn]))

    async def _give(self, losses: list[Loss]) -> None:
        await self._flusher.answered()
        for each in losses:
            await self._takeover.until_known(each.owned)
        note: list[tuple[int, uuid.UUID, str]] = []
        kept: list[tuple[Turn, str]] = []
        for loss in losses:
            owned, runner = loss.owned, f"{self._worker_id}/{loss.owned.epoch}"
            for turn in loss.turns:
                if in_flight(turn) or undelivered(turn):
                    kept.append((turn, runner))
                    note.append((owned.partition, turn.turn_id, runner))
                else:
                    with self._rounds.outlive(turn_id=str(turn.turn_id)):
                        self._then.after_handover(turn)
            note += [(owned.partition, *each) for each in self._takeover.forget(owned)]
        partitions, epochs = [each.owned.partition for each in losses], [each.owned.epoch for each in losses]
        # Not earlier: only after the answers to the flushes is it known what Postgres has of the turns.
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
        """Deliver outcomes of the turn's steps as they come, then the `handover` row."""
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
            self._then.after_handover(turn)

    async def _tell(self, turn: Turn, rows: list[ResultRow]) -> None:
        for part in parts_of(rows, self._size_bytes_max):
            await self._insist(partial(self._partitions.write_results, part))
        self._then.after_telling(turn)

    async def _insist(self, write: Callable[[], Awaitable[None]]) -> None:
        """Repeat `write` until it succeeds: what it writes is known nowhere else.

        Raises its error when that ends the process (Fault.END), and when it failed five times for its content or a bug.
        The next owner then waits for HANDOVER_S at the most, and runs the step again.
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
