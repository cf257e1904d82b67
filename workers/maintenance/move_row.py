"""The row of one move, as its mover reads and writes it: a picture of it, and where its graph is.

Each write is a compare-and-set under the leader's term (functions/move.sql). One that finds the row otherwise than the
picture has the row read again: somebody has cancelled the move, or another leader has carried it on.
"""

import uuid
from typing import Any, Final

import structlog

from argosy import crash_points, telemetry
from argosy.errors import ArgosyError
from argosy.store.graph import Directory, GraphRow, GraphRowState
from argosy.store.move import STALLED, Move, Moves, MoveState

log = structlog.get_logger()

_CANCELLED: Final = "cancelled"  # the reason of a move that an operator has given up (functions/move.sql)
_WAITS: Final = "; waits: "  # behind a reason: what a move waits for that is given up (functions/move.sql)
_PAUSE_S_MIN, _PAUSE_S_MAX = 1.0, 60.0  # between two tries, doubled each time


class MoveRow:
    """One move. moves: under the leader's term. waits: nothing is to be done about it for now."""

    def __init__(self, move: Move, moves: Moves, directory: Directory, tries_max: int) -> None:
        self.move = move
        self.waits = False
        self._moves = moves
        self._directory = directory
        self._tries_max = tries_max

    @property
    def state(self) -> MoveState:
        return self.move.state

    async def is_as_planned(self) -> bool:
        """Whether the directory has the graph as it was before the move."""
        return await self._is_at(self.move.source, self.move.generation)

    async def is_switched(self) -> bool:
        """Whether the directory has the graph as it is after the move."""
        return await self._is_at(self.move.target, self.move.generation + 1)

    async def note_copied(self, copied_bytes: int, size_bytes: int) -> bool:
        """Note how much was copied; whether the copy is still wanted."""
        return await self._moves.note_copied(self.move, copied_bytes, size_bytes)

    async def step(self, to: MoveState, *, reason: str = "", base_sha256: bytes = b"") -> bool:
        """Write down a step. False: the move was not as it was thought to be."""
        if not await self._moves.step(self.move, to, reason=reason, base_sha256=base_sha256):
            await self._read_again()
            return False
        crash_points.reach(f"move_{to}_noted")
        self.move = self.move._replace(state=to, reason=reason, base_sha256=base_sha256 or self.move.base_sha256)
        return True

    async def switch(self) -> bool:
        """Give the graph to the target. False: it was dropped, or is elsewhere."""
        if is_switched := await self._moves.switch(self.move):
            crash_points.reach("move_switched_noted")
            self.move = self.move._replace(state=MoveState.SWITCHED)
        return is_switched

    async def give_up(self, why: ArgosyError | str) -> None:
        """Decide that the move is to be given up, while that can be."""
        await self.step(MoveState.ABORTING, reason=_said(why))

    async def abort(self) -> bool:
        """End a move that was given up: it is tried again later, unless somebody has cancelled it. Its target may have
        something of it still. False: it was not to be given up any more.
        """
        is_over = self._given_up == _CANCELLED or self._is_last_try
        if not await self._moves.abort(self.move, is_target_dirty=True, again_s=None if is_over else self._pause_s):
            await self._read_again()
            return False
        crash_points.reach("move_aborted_noted")
        telemetry.MOVES_ENDED.labels(outcome="aborted").inc()
        log.warning(telemetry.MOVE_ABORTED, **self.named, why=self._given_up, is_tried_again=not is_over)
        self.move = self.move._replace(state=MoveState.ABORTED)
        return True

    async def note_clean(self, *, is_clean: bool) -> None:
        """Note whether the target has nothing of the move any more; if not, it is asked again later."""
        await self._moves.note_clean(self.move, is_clean=is_clean, after_s=_PAUSE_S_MAX)

    async def forgo(self, why: str) -> None:
        """End a move of which nothing was begun."""
        if await self._moves.forgo(self.move, why):
            telemetry.MOVES_ENDED.labels(outcome="forgone").inc()
        await self._read_again()

    async def wait_or_forgo(self, why: str) -> None:
        """Let a move wait of which nothing was begun, unless it did that often enough."""
        await (self.forgo(why) if self._is_last_try else self.wait(why))

    async def wait(self, why: ArgosyError | str) -> None:
        """Let the move wait: for moments only, where the graph does. That is logged once, and not with each try."""
        self.waits, said = True, _said(why)
        if self.move.reason.rpartition(_WAITS)[2] != said:
            log.warning(telemetry.MOVE_WAITS, **self.named, state=self.state.value, why=said)
        await self._moves.put_off(self.move, _PAUSE_S_MIN if self.state in STALLED else self._pause_s, said)

    @property
    def named(self) -> dict[str, Any]:
        move = self.move
        named = {"move": move.move_id, "source": move.source, "target": move.target}
        return {"tenant": move.tenant, "graph": move.graph, **{key: str(each) for key, each in named.items()}}

    @property
    def _given_up(self) -> str:
        """Why it was given up."""
        return self.move.reason.partition(_WAITS)[0]

    @property
    def _is_last_try(self) -> bool:
        return self.move.tries + 1 >= self._tries_max

    @property
    def _pause_s(self) -> float:
        return min(_PAUSE_S_MAX, _PAUSE_S_MIN * 2.0 ** min(self.move.tries, 10))

    async def _is_at(self, shard: uuid.UUID, generation: int) -> bool:
        row = await self._directory.find(self.move.tenant, self.move.graph)
        ref = self.move.ref._replace(generation=generation)
        return row is not None and _place_of(row) == (ref, shard, GraphRowState.ACTIVE)

    async def _read_again(self) -> None:
        found = await self._moves.find(self.move.move_id)
        self.waits = found is None or found.state is self.move.state
        self.move = found or self.move


def _place_of(row: GraphRow) -> tuple[Any, ...]:
    return row.ref, row.shard, row.state


def _said(why: ArgosyError | str) -> str:
    return why if isinstance(why, str) else f"{type(why).__name__}: {why}"
