"""Role rebalance: moves graphs between shards, as plans and single moves ask for it.

Rules:
- A tick plans a page of graphs after the other, and carries on the moves whose time has come: so many at once, first
  those whose graphs take no writes meanwhile.
- A move may take longer than a tick. It goes on as a task of its own, and later ticks look after it. A task of a term
  that is over writes nothing any more: it ends with its next sign of life, which a copy gives each second.
- A shard that drains is emptied onto those that answer; a rebalance brings each graph to where it belongs among all.
"""

import asyncio
import uuid
from typing import Final

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.config import Settings
from argosy.errors import OwnershipLostError, StoreUnavailableError
from argosy.graph.facts import GraphName
from argosy.graph.members import Members
from argosy.store.graph import Directory
from argosy.store.move import STALLED, Move, Moves, MoveState, Plan, PlanKind, count_moves, list_placed, list_plans
from argosy.store.pool import Pool
from argosy.workers.maintenance.copying import Bucket
from argosy.workers.maintenance.move import Mover
from argosy.workers.maintenance.move_row import MoveRow
from argosy.workers.maintenance.plan import to_move
from argosy.workers.maintenance.role import Ticked
from argosy.workers.maintenance.two_shards import TwoShards

log = structlog.get_logger()

_PAGE: Final = 500  # graphs that are looked at for a plan in one statement
_PLANNED_MAX: Final = 2_000  # moves that are open: what waits in a queue need not be planned yet
_LOOK_S: Final = 1.0  # between two looks at what else is asked for, while a large graph is copied
_LOOK_AGAIN_S: Final = 5.0  # between two looks at a plan that cannot go on
_UPKEEP_S: Final = 60.0
_CLEANED_MAX: Final = 5  # in one tick
_PURGED_MAX: Final = 1_000
_FAILED_S: Final = 60.0  # a move that failed in a way that nobody foresaw waits for so long


class Rebalance:
    """The role rebalance; see workers/maintenance/role.py. share_s: how long one tick may take. `close` it."""

    name = "rebalance"

    def __init__(
        self, settings: Settings, pool: Pool, directory: Directory, members: Members, clock: Clock, share_s: float
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._directory = directory
        self._members = members
        self._clock = clock
        self._share_s = share_s
        self._bucket = Bucket(settings.rebalance_rate_bytes_s, clock)
        self._moves = Moves(pool, self.name, 0)
        self._tasks: dict[uuid.UUID, asyncio.Task[None]] = {}
        self._upkeep_s = float("-inf")

    async def tick(self, term: int) -> Ticked:
        until_s = self._clock.monotonic_s() + self._share_s
        if term != self._moves.term:
            await self.close()
            self._moves = Moves(self._pool, self.name, term)
        await self._members.refresh()
        await self._keep_up()
        planned, begun = 0, 0
        while True:
            planned += await self._plan()
            begun += await self._begin()
            left_s = until_s - self._clock.monotonic_s()
            if not self._tasks or left_s <= 0:
                break
            within_s = min(left_s, _LOOK_S)
            await asyncio.wait(self._tasks.values(), timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
            await self._collect()
        if await list_plans(self._pool):  # an idle leader writes nothing
            await self._moves.settle_plans(_LOOK_AGAIN_S)
        words = f"; {len(self._tasks)} under way" if self._tasks else ""
        return Ticked(f"{planned} moves planned, {begun} carried on{words}", bool(self._tasks or planned))

    async def close(self) -> None:
        """End what goes on in this process: the rows say how far it came."""
        tasks, self._tasks = list(self._tasks.values()), {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _plan(self) -> int:
        """Look at a page of graphs for each plan that has some to look at; how many moves were planned."""
        plans = await self._moves.due_plans()
        if not plans:
            return 0
        await self._members.refresh()  # one that was added for a plan, or drains by it, is known before
        room = _PLANNED_MAX - sum(each.moves for each in await count_moves(self._pool))
        planned = 0
        for plan in plans:
            if planned < room:
                planned += await self._plan_page(plan)
        return planned

    async def _plan_page(self, plan: Plan) -> int:
        takers = self._members.for_new if plan.kind is PlanKind.DRAIN else self._members.active
        if not takers:
            await self._moves.block(plan, "no shard takes graphs: all of them drain", _LOOK_AGAIN_S)
            return 0
        page = await list_placed(self._pool, plan.after, plan.shard, _PAGE)
        after = GraphName(*page[-1][:2]) if page else plan.after
        return await self._moves.plan(plan, to_move(page, takers), after, is_last=len(page) < _PAGE)

    async def _begin(self) -> int:
        """Begin to carry on as many moves as may be at once; how many."""
        room = self._settings.rebalance_moves_max - len(self._tasks)
        due = await self._moves.due(list(self._tasks), room) if room > 0 else []
        for move in due:
            self._tasks[move.move_id] = asyncio.create_task(self._mover(move).run(), name=f"move {move.move_id}")
        return len(due)

    def _mover(self, move: Move) -> Mover:
        row = MoveRow(move, self._moves, self._directory, self._settings.rebalance_tries_max)
        shards = TwoShards(move, self._members)
        return Mover(row, shards, self._settings.rebalance_seal_s, self._bucket, self._clock)

    async def _collect(self) -> None:
        """Let go of the tasks that have ended. Raises OwnershipLostError, StoreUnavailableError."""
        for move_id, task in [each for each in self._tasks.items() if each[1].done()]:
            del self._tasks[move_id]
            if task.cancelled() or (error := task.exception()) is None:
                continue
            if isinstance(error, OwnershipLostError | StoreUnavailableError):
                raise error
            said = f"{type(error).__name__}: {error}"
            log.error(
                telemetry.MOVE_FAILED,
                move=str(move_id),
                error=said,
                consequence="it is carried on later, from where it is; its graph may take no writes until then",
            )
            if (move := await self._moves.find(move_id)) is not None:
                await self._moves.put_off(move, _FAILED_S, said)

    async def _keep_up(self) -> None:
        """Measure; and once in a while rid targets of what is left of moves that were given up, and forget old rows."""
        sealed_s = await self._measure()
        now_s = self._clock.monotonic_s()
        if now_s - self._upkeep_s < _UPKEEP_S:
            return
        self._upkeep_s = now_s
        if sealed_s > _UPKEEP_S:
            log.warning(
                telemetry.MOVE_LATE,
                sealed_s=round(sealed_s),
                consequence="the graph takes no writes until both of its shards answer: `argosy shards list`",
            )
        telemetry.SHARD_GRAPHS.clear()
        for counted in await self._directory.count():
            telemetry.SHARD_GRAPHS.labels(endpoint=counted.shard.endpoint).set(counted.graphs)
        for move in await self._moves.dirty(_CLEANED_MAX):
            await self._mover(move).clean()
        await self._moves.purge(self._settings.retention_s, _PURGED_MAX)

    async def _measure(self) -> float:
        """Count open moves; for how long the graph has taken no writes whose move takes longest."""
        counted = {each.state: each for each in await count_moves(self._pool)}
        for state in MoveState:
            telemetry.MOVES.labels(state=state.value).set(counted[state].moves if state in counted else 0)
        sealed_s = max((counted[each].sealed_s or 0.0 for each in STALLED if each in counted), default=0.0)
        telemetry.MOVES_SEALED_S.set(sealed_s)
        return sealed_s
