"""One move: what is true in each of its states, and the step that leads to the next one.

| state | what is true | reads, writes | next step |
|---|---|---|---|
| planned | a row | source, source | the copy begins |
| copying | the target receives a copy of what the source goes on writing to | source, source | little is left: seal |
| sealed | the source takes no writes, durably | source, wait | the rest is copied, and lands |
| landed | both have the same; the target serves nobody | source, wait | the source serves no reads either |
| retired | the source serves nobody, durably | wait, wait | the directory names the target |
| switched | the target has the graph, in the next generation | wait, wait | the target serves it |
| activated | the target serves it | target, target | the source drops it |
| aborting | it was decided before `switched` | source, from here on | the source serves it, in the next generation |

Rules:
- A step is first taken at a shard (two_shards.py), where it may be taken again, and then written under the leader's
  term. Whoever finds the row carries on by it: nothing of a move is in the memory of its leader alone, but a copy that
  it makes. One that was cut off is not carried on: the move is given up, and planned anew.
- From `sealed` to `retired` the graph's writers wait. If that lasts longer than REBALANCE_SEAL_S, the move is given up.
  From `switched` on nothing gives it up: what the target has may be newer than what the source has.
- Reads of the source have ended (retired) before the first write at the target can be (activated): so no read sees an
  older graph than another one has seen.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from argosy import crash_points, telemetry
from argosy.clock import Clock
from argosy.errors import (
    ArgosyError,
    CopyBrokenError,
    OwnershipLostError,
    ShardUnavailableError,
    StoreUnavailableError,
    WrongOwnerError,
)
from argosy.graph.copies import CopyPart, CopySums
from argosy.graph.facts import Stats
from argosy.store.move import MoveState
from argosy.workers.maintenance.copying import DAY_S, Bucket, Gate, Open
from argosy.workers.maintenance.move_row import MoveRow
from argosy.workers.maintenance.two_shards import TwoShards

log = structlog.get_logger()

_CALL_S: Final = 10.0  # of one call to a shard, while no writer waits
_CLEAN_S: Final = 2.0  # for what can as well be done later
_LAST_S: Final = 1.0  # of a step that is taken once more by a leader who finds the time over
_AGAIN_S: Final = 0.1  # a step that failed while writers wait is taken again after this
_NOTED_S: Final = 1.0  # how often it is asked whether a copy is still wanted
_SMALL_BYTES: Final = 4_194_304  # what is left of a tail is copied under the seal, in some ten milliseconds
_ROUNDS_MAX: Final = 5  # of copying the tail: writers who are faster than the pipe wait for the rest
_ELSEWHERE: Final = "the graph was dropped, or is elsewhere"
_SHUT: Final = "the shard that it was to come to takes no graphs any more"


class Mover(Gate):
    """Carries on one move, as far as it goes."""

    def __init__(self, row: MoveRow, shards: TwoShards, seal_s: float, bucket: Bucket, clock: Clock) -> None:
        self._row = row
        self._shards = shards
        self._seal_s = seal_s
        self._bucket = bucket
        self._clock = clock
        self._noted_s = clock.monotonic_s()
        self._sealed_s = clock.monotonic_s() - (row.move.sealed_s or 0.0)
        self._base_size_bytes = 0
        self._stats: Stats | None = None
        self._steps: dict[MoveState, Callable[[], Awaitable[None]]] = {
            MoveState.PLANNED: self._begin,
            MoveState.COPYING: self._give_up_what_was_cut_off,
            MoveState.SEALED: self._land,
            MoveState.LANDED: self._retire,
            MoveState.RETIRED: self._switch,
            MoveState.SWITCHED: self._activate,
            MoveState.ACTIVATED: self._drop,
            MoveState.ABORTING: self._reopen,
        }

    async def run(self) -> None:
        """Take steps until the move has ended, or has to wait. Raises OwnershipLostError, StoreUnavailableError."""
        while not self._row.waits and (step := self._steps.get(self._row.state)) is not None:
            await step()

    async def admit(self, part: CopyPart) -> bool:
        """Let a part of the copy through, at the rate of all copies; False once the move was cancelled."""
        await self._bucket.take(len(part.data))
        if self._clock.monotonic_s() - self._noted_s < _NOTED_S:
            return True
        self._noted_s = self._clock.monotonic_s()
        before = self._base_size_bytes
        return await self._row.note_copied(before + part.offset + len(part.data), before + part.size_bytes)

    async def _begin(self) -> None:
        """planned: see that both shards answer, then copy and seal. Before the row says `copying` nothing is asked for
        of either: what is only planned can be forgone without a trace.
        """
        if not await self._row.is_as_planned():
            await self._row.forgo(_ELSEWHERE)
        elif not await self._shards.takes_graphs():
            await self._row.forgo(_SHUT)
        elif fault := await self._shards.fault():
            await self._row.wait_or_forgo(fault)
        elif await self._row.step(MoveState.COPYING):
            log.info(telemetry.MOVE_BEGUN, **self._row.named)
            if (at_fault := await self._fault_of(self._copy())) is not None:
                await self._row.give_up(at_fault)

    async def _copy(self) -> None:
        """Copy the graph while it is open, and let it take no more writes when little is left."""
        pipe = await self._shards.pipe()
        base = await pipe.send_base(self)
        self._base_size_bytes = base.size_bytes  # a tail comes behind it
        await self._row.note_copied(base.size_bytes, base.size_bytes)
        crash_points.reach("move_copied")
        left, offset, rounds = base.size_bytes, 0, 0
        while left > _SMALL_BYTES and rounds < _ROUNDS_MAX:
            tail = await pipe.send_tail(offset, self, DAY_S)
            left, offset, rounds = tail.size_bytes - offset, tail.size_bytes, rounds + 1
        self._stats = await self._shards.seal(self._in(_CALL_S))
        crash_points.reach("move_sealed")
        self._sealed_s = self._clock.monotonic_s()
        await self._row.step(MoveState.SEALED, base_sha256=base.sha256)

    async def _give_up_what_was_cut_off(self) -> None:
        """copying: whoever made the copy is gone. What still comes from there may seal the source, with nobody to carry
        that on: so the graph goes into the next generation, where it is refused.
        """
        await self._row.give_up("its copy was cut off")

    async def _land(self) -> None:
        """sealed: copy the rest of the tail, to which nothing is added any more, and make one file of all."""
        await self._in_time(self._land_until, MoveState.LANDED)

    async def _land_until(self, until_s: float) -> None:
        expected = self._stats or await self._shards.seal(until_s)
        pipe, left_s = await self._shards.pipe(), until_s - self._clock.monotonic_s()
        received = await pipe.received(left_s)
        if not received.is_landed:
            tail = await pipe.send_tail(received.tail_size_bytes, Open(), left_s)
            sums = CopySums(self._row.move.base_sha256, tail.size_bytes, tail.sha256)
            await self._shards.land(sums, expected, until_s)
        crash_points.reach("move_landed")

    async def _retire(self) -> None:
        """landed: let the source serve nobody."""
        await self._in_time(self._retire_until, MoveState.RETIRED)

    async def _retire_until(self, until_s: float) -> None:
        await self._shards.retire(until_s)
        crash_points.reach("move_retired")

    async def _switch(self) -> None:
        """retired: give the graph to the target if that answers, since from then on there is no way back."""
        await self._in_time(self._see_target, None)
        if self._row.state is MoveState.RETIRED and not await self._row.switch():
            await self._row.give_up(_ELSEWHERE)

    async def _see_target(self, until_s: float) -> None:
        if fault := await self._shards.target_fault():
            raise ShardUnavailableError(fault)

    async def _activate(self) -> None:
        """switched: let the target serve the graph. That is tried for ever, unless the graph was dropped meanwhile."""
        fault = await self._fault_of(self._shards.activate(self._in(_CALL_S)))
        if isinstance(fault, WrongOwnerError | CopyBrokenError) and not await self._row.is_switched():
            fault = await self._fault_of(self._shards.abandon(self._row.move.generation + 1, self._in(_CALL_S)))
        if fault is not None:
            await self._row.wait(fault)
            return
        crash_points.reach("move_activated")
        telemetry.MOVE_STALL_S.observe(self._clock.monotonic_s() - self._sealed_s)
        await self._row.step(MoveState.ACTIVATED)

    async def _drop(self) -> None:
        """activated: let the source forget the graph. One that has it in a later generation has nothing of it."""
        await self._fault_of(self._shards.release(self._in(_CLEAN_S)))  # there is room for few copies
        fault = await self._fault_of(self._shards.drop_at_source(self._in(_CALL_S)))
        if isinstance(fault, WrongOwnerError) and await self._shards.has_source():
            fault = None
        if fault is not None:
            await self._row.wait(fault)
            return
        crash_points.reach("move_dropped")
        if await self._row.step(MoveState.DONE):
            telemetry.MOVES_ENDED.labels(outcome="done").inc()
            log.info(telemetry.MOVE_DONE, **self._row.named)

    async def _reopen(self) -> None:
        """aborting: let the source serve the graph in the next generation; the target is rid of its part afterwards."""
        fault = await self._fault_of(self._shards.reopen(self._in(_CALL_S)))
        if isinstance(fault, WrongOwnerError) and not await self._row.is_as_planned():
            fault = None
        if fault is not None:
            await self._row.wait(fault)
            return
        crash_points.reach("move_reopened")
        if await self._row.abort():
            await self._fault_of(self._shards.release(self._in(_CLEAN_S)))
            await self.clean()

    async def clean(self) -> None:
        """Let the target take nothing any more of a move that was given up, and forget what it has. It serves nobody,
        so it may be away for now: then it is asked again.
        """
        fault = await self._fault_of(self._shards.abandon(self._row.move.generation, self._in(_CLEAN_S)))
        await self._row.note_clean(is_clean=fault is None)

    async def _in_time(self, work: Callable[[float], Awaitable[None]], then: MoveState | None) -> None:
        """Do this until it is done, while writers wait, and note it; give the move up when the time for that is over,
        or when doing it again cannot help.
        """
        until_s = self._sealed_s + self._seal_s
        while (fault := await self._fault_of(work(max(until_s, self._in(_LAST_S))))) is not None:
            is_vain = isinstance(fault, WrongOwnerError | CopyBrokenError)
            if is_vain or self._in(_AGAIN_S) >= until_s:
                await self._row.give_up(fault)
                return
            await self._clock.sleep(_AGAIN_S)
        if then is not None:
            await self._row.step(then)

    async def _fault_of(self, work: Awaitable[None]) -> ArgosyError | None:
        """Do this, and return what went wrong at a shard. Raises OwnershipLostError, StoreUnavailableError."""
        try:
            await work
        except (OwnershipLostError, StoreUnavailableError):
            raise
        except ArgosyError as error:
            return error
        return None

    def _in(self, delay_s: float) -> float:
        return self._clock.monotonic_s() + delay_s
