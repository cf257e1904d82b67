"""Cypher by kglite, each graph in a child process of its own.

A process for each graph, and not one for many: what a query does to kglite (its memory, its crash, being killed at
its deadline) is then done to the graph it asks, and to no other tenant's. A child costs 0.1 s to start and 40 MB before
its graph; the shard keeps the views that were used last, up to a bound, so a thousand small graphs take no more
processes than that. Within a child queries run side by side: a slow one does not hold up those beside it, until it
is killed behind its deadline, when they raise ViewLostError and may be asked again.

A query during which its child ended by itself, with nothing else to do, is refused for good: that is what the child
cannot do. One beside others, or whose child was killed, may be asked again: shards/lost_queries.py says how often.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec

from argosy import telemetry
from argosy.errors import CypherError, GraphDeadlineError, GraphInputError, GraphTooLargeError, ViewLostError
from argosy.graph.facts import Answer, Edge, Node
from argosy.graph.ops import Op
from argosy.shards.view import ASK_INSTEAD, PARAMS_SIZE_BYTES_MAX
from argosy.shards.views.admission import check_size
from argosy.shards.views.frames import Answered, Apply, Ask, Done, EdgeRow, Failed, Load, NodeRow, Reply, encode
from argosy.shards.views.process import ChildProcess

# What the largest parameters come to on their way: 0.0 has 4 bytes in a list of JSON, and 9 there.
_PARAMS_FRAME_BYTES_MAX: Final = 3 * PARAMS_SIZE_BYTES_MAX
# Who asks is answered at the deadline. kglite is told to end a little before it, and mostly does within a tenth of
# a second; a child that does not is killed a little after it, so that a short deadline alone costs nobody the view.
_KGLITE_SHARE: Final = 0.95
_KILLED_AFTER_S: Final = 0.5
_REPLY_SLACK_BYTES: Final = 65_536  # columns, and what stands around rows


class ViewLimits(NamedTuple):
    """Bounds of one view. memory_bytes_max: of its process, with the graph. queries_max: that run at once."""

    memory_bytes_max: int
    queries_max: int
    answer_size_bytes_max: int


class KgliteViews:
    """Makes views by kglite: a ViewMaker."""

    def __init__(self, limits: ViewLimits) -> None:
        self._limits = limits

    def make(self) -> "KgliteView":
        return KgliteView(self._limits)


class KgliteView:
    """A View whose graph is in a child process."""

    def __init__(self, limits: ViewLimits) -> None:
        self.version = 0
        self._limits = limits
        self._child: ChildProcess | None = None
        self._memory_bytes = 0
        self._slots = asyncio.Semaphore(limits.queries_max)
        self._asking: set[asyncio.Task[Answer]] = set()

    @property
    def memory_bytes(self) -> int:
        return 0 if self.is_lost else self._memory_bytes

    @property
    def is_lost(self) -> bool:
        return self._child is None or self._child.has_ended

    @property
    def pid(self) -> int | None:
        """The process id of the child; None while there is none. For tests and metrics."""
        return None if self._child is None else self._child.pid

    async def build(self, version: int, facts: AsyncIterator[Sequence[Node | Edge]]) -> None:
        await self.close()
        limits = self._limits
        self._child = child = await ChildProcess.start(
            limits.memory_bytes_max, limits.answer_size_bytes_max + _REPLY_SLACK_BYTES
        )
        try:
            async for some in facts:
                nodes: list[NodeRow] = [(each.id, each.label, each.props) for each in some if isinstance(each, Node)]
                edges: list[EdgeRow] = [
                    (each.src, each.type, each.dst, each.props) for each in some if isinstance(each, Edge)
                ]
                await self._done(child.send(partial(Load, nodes=nodes, edges=edges)))
            await self._done(child.send(partial(Apply, ops=[])))  # what waits for more of its kind is taken in
        except BaseException as error:
            child.kill()
            if isinstance(error, ViewLostError) and child.lacked_memory:
                raise GraphTooLargeError(
                    f"the graph needs more than the {limits.memory_bytes_max} bytes that a view may take "
                    f"(SHARD_VIEW_SIZE_BYTES_MAX): {ASK_INSTEAD}"
                ) from None
            raise
        self.version = version

    async def apply(self, ops: Sequence[Op], version: int) -> None:
        child = self._living()
        sent = child.send(partial(Apply, ops=list(ops)))  # before anything waits: batches go in the order of calls
        try:
            await self._done(sent)
        except asyncio.CancelledError:
            child.kill()  # nobody would know which version it has
            raise
        self.version = max(self.version, version)

    async def query(
        self, cypher: str, params: dict[str, Any], *, timeout_s: float, row_limit: int, size_bytes_max: int
    ) -> Answer:
        check_size(cypher)
        _check_params(params)
        ends_at = asyncio.get_running_loop().time() + timeout_s
        ask = partial(
            Ask,
            cypher=cypher,
            params=params,
            row_limit=row_limit,
            size_bytes_max=min(size_bytes_max, self._limits.answer_size_bytes_max),
        )
        # A caller that leaves does not take the query with it: that runs in the child, and is held to its deadline.
        asking = asyncio.create_task(self._ask(ask, ends_at))
        self._asking.add(asking)
        asking.add_done_callback(self._asked)
        try:
            async with asyncio.timeout_at(ends_at):
                return await asyncio.shield(asking)
        except TimeoutError:
            raise GraphDeadlineError("the query was stopped at its deadline") from None
        except _FailedError as failed:
            raise _error_of(failed.reply) from None

    async def idle(self) -> None:
        while self._asking:
            await asyncio.wait(self._asking)

    async def close(self) -> None:
        if self._child is not None:
            await self._child.close()

    async def _ask(self, ask: "partial[Ask]", ends_at: float) -> Answer:
        child = self._living()
        try:
            async with asyncio.timeout_at(ends_at):
                await self._slots.acquire()
        except TimeoutError:
            raise GraphDeadlineError("the query waited for others until its deadline") from None
        try:
            left_s = ends_at - asyncio.get_running_loop().time()
            if left_s <= 0:
                raise GraphDeadlineError("the deadline had passed before the query ran")
            async with asyncio.timeout_at(ends_at + _KILLED_AFTER_S):
                with telemetry.SHARD_QUERIES.track_inprogress():
                    reply = await child.send(partial(ask, timeout_ms=max(1, int(left_s * _KGLITE_SHARE * 1000))))
        except TimeoutError:
            child.kill()
            raise GraphDeadlineError("the query was stopped at its deadline") from None
        except ViewLostError:
            if child.ended_alone_with == 1:  # this query: it would end the next child as well
                raise GraphTooLargeError(
                    f"the query ended what answers it: it may take {self._limits.memory_bytes_max} bytes with the graph"
                ) from None
            raise
        finally:
            self._slots.release()
        if isinstance(reply, Failed):
            raise _FailedError(reply)
        if not isinstance(reply, Answered):
            raise ViewLostError("the view answered something else")
        self._memory_bytes = reply.memory_bytes
        return Answer(reply.columns, reply.rows, reply.is_cut)

    def _asked(self, asking: asyncio.Task[Answer]) -> None:
        self._asking.discard(asking)
        if not asking.cancelled():
            asking.exception()  # it may be that nobody waits any more

    async def _done(self, sent: Awaitable[Reply]) -> None:
        reply = await sent
        if not isinstance(reply, Done):
            raise ViewLostError("the view answered something else")
        self._memory_bytes = reply.memory_bytes

    def _living(self) -> ChildProcess:
        if self._child is None or self._child.has_ended:
            raise ViewLostError("the view has to be built")
        return self._child


class _FailedError(Exception):
    def __init__(self, reply: Failed) -> None:
        super().__init__(reply.message)
        self.reply = reply


def _check_params(params: dict[str, Any]) -> None:
    try:
        size = len(encode(params))
    except (TypeError, ValueError, RecursionError, OverflowError, msgspec.MsgspecError) as error:
        raise GraphInputError(f"params cannot be sent: {error}") from error
    if size > _PARAMS_FRAME_BYTES_MAX:
        raise GraphTooLargeError(f"params: at most {PARAMS_SIZE_BYTES_MAX} bytes")


def _error_of(reply: Failed) -> Exception:
    if reply.fault == "deadline":
        return GraphDeadlineError("the query was stopped at its deadline")
    if reply.fault == "size":
        return GraphTooLargeError(reply.message)
    return CypherError(reply.message, (reply.line, reply.column) if reply.line else None)
