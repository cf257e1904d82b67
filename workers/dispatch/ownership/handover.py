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
from collections.abc import Awaitable, Callable, Iterable

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.errors import UnavailableError
from argosy.ranges import in_ranges
from argosy.store.partition import Partitions, ResultRow
from argosy.turn.status import Status
from workers.dispatch.execution.journal import STEP_OUTCOMES
from workers.dispatch.flush.flusher import Flusher
from workers.dispatch.tasks import Background
from workers.dispatch.turn import EventWrite, Owned, Resume, Stop, Turn

log = structlog.get_logger()

_RETRY_S = 0.25

# (turn_id, runner) of turns that were held here for somebody else's step.
Held = list[tuple[uuid.UUID, str]]


def undelivered(turn: Turn) -> list[EventWrite]:
    """Outcomes of steps that Postgres does not have from here, the latest word of each key."""
    events = [*turn.unwritten, *turn.events, *(turn.journal.outcomes if turn.journal is not None else ())]
    return list({each.key: each for each in events if each.type in STEP_OUTCOMES}.values())


def in_flight(turn: Turn) -> bool:
    """Whether a step of it runs here."""
    return turn.journal is not None and turn.stop is Stop.HANDOVER and bool(turn.journal.in_flight)


def is_settled(owned: Owned, turns: Iterable[Turn], has_unread_heads: bool) -> bool:
    """Whether every turn that is running in Postgres may go on with the same attempt. Not one whose former owner died
    or said nothing before it began again here; nor one whose step was broken off to end it, which is not written yet.
    """
    are_heads_known = owned.resume is Resume.MOVED or (owned.is_open and not has_unread_heads)
    is_open_question = any(
        turn.stop in (Stop.CANCEL, Stop.EXPIRE)
        or (turn.status is Status.RUNNING and turn.task is None and turn.resume is not Resume.MOVED)
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


class Handover:
    """Gives partitions away. on_done(turn) is called when nothing of a turn runs here any more; on_told(turn) when
    there is something to be read by its owner. until_known(owned) returns when it is known what the owner before left;
    held_of(owned) takes what was held here for others' steps; has_unread(owned): heads of it were never looked at.
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
        until_known: Callable[[Owned], Awaitable[None]],
        held_of: Callable[[Owned], Held],
        has_unread: Callable[[Owned], bool],
        on_done: Callable[[Turn], None],
        on_told: Callable[[Turn], None],
    ) -> None:
        self._partitions = partitions
        self._flusher = flusher
        self._clock = clock
        self._worker_id = worker_id
        self._bound_s = bound_s
        self._until_known = until_known
        self._held_of = held_of
        self._has_unread = has_unread
        self._on_done = on_done
        self._on_told = on_told
        self._background = background

    def stop_starting(self, turns: Iterable[Turn]) -> None:
        """Nothing new begins in those of them that run."""
        for turn in turns:
            if turn.task is not None and turn.stop is None and not turn.has_ended:
                turn.stop = Stop.HANDOVER

    def begin(self, parts: list[tuple[Owned, list[Turn]]]) -> None:
        """Partitions are lost, or everything of them is written: leave the notes, then deliver. With each, the
        turns of it that memory knows.
        """
        for owned, turns in parts:
            owned.is_settled = is_settled(owned, turns, self._has_unread(owned))
            self.stop_starting(turns)
        if opened := [part for part in parts if part[0].is_open]:
            self._background.spawn(self._give(opened))
        for part in parts:
            if not part[0].is_open:  # what the owner before left goes on to the next one with our own note
                self._background.spawn(self._give([part]))

    async def _give(self, parts: list[tuple[Owned, list[Turn]]]) -> None:
        await self._flusher.answered()
        for owned, _ in parts:
            await self._until_known(owned)
        note: list[tuple[int, uuid.UUID, str]] = []
        kept: list[tuple[Turn, str]] = []
        for owned, turns in parts:
            runner = f"{self._worker_id}/{owned.epoch}"
            for turn in turns:
                if in_flight(turn) or undelivered(turn):
                    kept.append((turn, runner))
                    note.append((owned.partition, turn.turn_id, runner))
                else:
                    self._on_done(turn)
            note += [(owned.partition, *each) for each in self._held_of(owned)]
        partitions, epochs = [each.partition for each, _ in parts], [each.epoch for each, _ in parts]
        telemetry.HANDOVERS.labels(outcome="given").inc(len(parts))
        settled = [each.is_settled for each, _ in parts]
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
                    await moved.wait()
        except TimeoutError:
            log.warning(telemetry.HANDOVER_LATE, turn_id=str(turn.turn_id), bound_s=self._bound_s)
        finally:
            self._on_done(turn)

    async def _tell(self, turn: Turn, rows: list[ResultRow]) -> None:
        await self._insist(lambda: self._partitions.write_results(rows))
        self._on_told(turn)

    async def _insist(self, write: Callable[[], Awaitable[None]]) -> None:
        """Until it is written: what is said here is known nowhere else."""
        while True:
            try:
                await write()
                return
            except UnavailableError as error:
                log.warning(telemetry.STORE_UNAVAILABLE, error=str(error))
                await self._clock.sleep(_RETRY_S)
