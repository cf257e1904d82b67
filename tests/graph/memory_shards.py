"""Shards in memory that keep the contract of argosy/graph/transport.py, and fail when a test says so."""

import asyncio
import builtins
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from argosy.errors import (
    GraphDeadlineError,
    GraphDroppedError,
    GraphFileError,
    GraphInputError,
    InternalError,
    KeyMismatchError,
    OutcomeUnknownError,
    ShardBusyError,
    ShardSilentError,
    ShardUnavailableError,
    WrongOwnerError,
)
from argosy.graph.acl import ALL, GraphAccess, GraphAcl
from argosy.graph.copies import Copies
from argosy.graph.facts import (
    LIST_MAX,
    Answer,
    Applied,
    Edge,
    FencingToken,
    GraphName,
    GraphRef,
    GraphState,
    Hit,
    Member,
    Neighborhood,
    Node,
    Source,
    Stats,
    Summary,
    WriteKey,
)
from argosy.graph.feeds import Fed, FeedBatch, FeedState, RefusedLine, is_next, new_feed, numbered_lines, source_of
from argosy.graph.forgetting import ForgetTurns, Forgotten
from argosy.graph.ops import INT_MAX, Op, UpsertNode
from argosy.graph.transport import Transport
from argosy.ingest.line_ops import op_of
from tests.graph.memory_copies import Copied, MemoryCopies

T = TypeVar("T")

_OF_MOVES = ("copy", "copy_tail", "release_copy", "receive", "land", "set_state", "activate", "abandon")


@dataclass
class File:
    """One graph. applied: digest of the operations and answer, by key. refused: lines, by feed."""

    ref: GraphRef
    nodes: dict[str, Node] = field(default_factory=dict)
    applied: dict[str, tuple[Sequence[Op], Applied]] = field(default_factory=dict)
    version: int = 0
    feeds: dict[str, FeedState] = field(default_factory=dict)
    refused: dict[str, list[RefusedLine]] = field(default_factory=dict)
    state: GraphState = GraphState.ACTIVE

    @property
    def stats(self) -> Stats:
        return Stats(*self.ref[2:4], self.state, len(self.nodes), 0, self.version, 0, 0)

    def ingest(self, batch: FeedBatch) -> Fed:
        lines = numbered_lines(batch)
        state = self.feeds.get(batch.feed) or new_feed(batch.feed)
        refused = self.refused.setdefault(batch.feed, [])
        if is_next(batch, state):
            before, self.version = state, self.version + 1
            for number, line in lines:
                state = self._fed(state, refused, number, line, batch.source)
            self.version -= state.applied == before.applied
            state = state._replace(next=batch.end, chain=batch.after)
            self.feeds[batch.feed] = state
        told = [each for each in refused if each.line > batch.confirmed]
        return Fed(state, told, is_cut=False, version=self.version)

    def _fed(self, state: FeedState, refused: list[RefusedLine], number: int, line: bytes, source: Source) -> FeedState:
        if not line.strip():
            return state
        try:
            op = op_of(line)
            assert isinstance(op, UpsertNode)
            self.nodes[op.id] = Node(op.id, op.label, b"{}", self.version, source)
        except GraphInputError as error:
            refused.append(RefusedLine(number, error.code, str(error), line[:200]))
            return state._replace(rejected=state.rejected + 1)
        return state._replace(applied=state.applied + 1)


@dataclass
class Folder:
    """What a shard has on its disk."""

    member_id: uuid.UUID = field(default_factory=uuid.uuid4)
    files: dict[GraphName, File] = field(default_factory=dict)
    dropped: dict[uuid.UUID, int] = field(default_factory=dict)  # the generation
    copied: Copied = field(default_factory=Copied)


@dataclass
class Fault:
    """What happens once to the next call of a method: it is cut off, hangs until it may go on, finds no room or a file
    that cannot be used, is not answered until its deadline, which is now, or fails in a way that nobody foresaw.

    is_after: that is so once it took effect.
    """

    method: str
    is_after: bool = False
    hangs: bool = False
    is_busy: bool = False
    is_damaged: bool = False
    is_silent: bool = False
    is_bug: bool = False


class MemoryShards:
    """Shards by endpoint. calls: what they were asked, (endpoint, method). down: endpoints that do not answer.
    outdated: those that do not know how a graph moves.
    """

    def __init__(self, *endpoints: str) -> None:
        self.folders = {endpoint: Folder(uuid.UUID(int=number)) for number, endpoint in enumerate(endpoints, 1)}
        self.down: set[str] = set()
        self.outdated: set[str] = set()
        self.faults: list[Fault] = []
        self.hanging = asyncio.Event()
        self.may_go_on = asyncio.Event()
        self.calls: list[tuple[str, str]] = []

    def kill(self, endpoint: str) -> None:
        """It does not answer until a test says so, and what it had in its memory alone is gone."""
        self.down.add(endpoint)
        self.folders[endpoint].copied.source.clear()

    @property
    def members(self) -> list[Member]:
        return [Member(folder.member_id, endpoint) for endpoint, folder in self.folders.items()]

    def to(self, member: Member) -> Transport:
        return MemoryShard(self, member)

    def endpoint_of(self, member_id: uuid.UUID) -> str:
        return next(each.endpoint for each in self.members if each.member_id == member_id)

    def files_of(self, tenant: str, graph: str) -> list[File]:
        """The files that any shard has of this name."""
        name = GraphName(tenant, graph)
        return [folder.files[name] for folder in self.folders.values() if name in folder.files]

    def called(self, method: str) -> int:
        return sum(each == method for _, each in self.calls)


class MemoryShard(Transport):
    def __init__(self, shards: MemoryShards, member: Member) -> None:
        self._shards = shards
        self._member = member
        self._copies = MemoryCopies(self)

    @property
    def copies(self) -> Copies:
        return self._copies

    async def identify(self, *, deadline_s: float) -> uuid.UUID:
        return await self.call("identify", lambda: self._folder.member_id, is_write=False)

    async def create(self, ref: GraphRef, *, deadline_s: float) -> None:
        def effect() -> None:
            file = self.meant.files.get(GraphName(ref.tenant, ref.graph))
            if ref.generation <= self._folder.dropped.get(ref.incarnation, -1):
                raise GraphDroppedError("dropped here")
            if file and file.ref.incarnation != ref.incarnation:
                raise WrongOwnerError("another one is here")
            self._folder.files.setdefault(GraphName(ref.tenant, ref.graph), File(ref))

        await self.call("create", effect, is_write=True)

    async def drop(self, ref: GraphRef, *, deadline_s: float) -> None:
        def effect() -> None:
            name = GraphName(ref.tenant, ref.graph)
            file = self.meant.files.get(name)
            if file is not None and file.ref.incarnation == ref.incarnation:
                if file.ref.generation > ref.generation:
                    raise WrongOwnerError("here in a later generation")
                del self._folder.files[name]
            self._folder.copied.end(ref)
            dropped = self._folder.dropped
            dropped[ref.incarnation] = max(dropped.get(ref.incarnation, 0), ref.generation)

        await self.call("drop", effect, is_write=True)

    async def apply(
        self,
        ref: GraphRef,
        ops: Sequence[Op],
        *,
        key: WriteKey | None,
        token: FencingToken | None,
        source: Source,
        deadline_s: float,
    ) -> Applied:
        def effect() -> Applied:
            file = self._written(ref)
            if key and key.key in file.applied:
                known, answer = file.applied[key.key]
                if known != ops:
                    raise KeyMismatchError("used for others")
                return answer
            file.version += 1
            for op in ops:
                assert isinstance(op, UpsertNode)
                file.nodes[op.id] = Node(op.id, op.label, b"{}", file.version, source)
            answer = Applied(file.version)
            if key:
                file.applied[key.key] = (ops, answer)
            return answer

        return await self.call("apply", effect, is_write=True)

    async def get_nodes(self, ref: GraphRef, ids: Sequence[str], *, deadline_s: float) -> list[Node | None]:
        return await self.call("get_nodes", lambda: [self.file(ref).nodes.get(each) for each in ids], is_write=False)

    async def stats(self, ref: GraphRef, *, deadline_s: float) -> Stats:
        return self.file(ref).stats

    async def export(self, ref: GraphRef, *, deadline_s: float) -> AsyncIterator[bytes]:
        for node in list(self.file(ref).nodes.values()):
            yield node.id.encode() + b"\n"

    async def restore(self, ref: GraphRef, lines: AsyncIterator[bytes], *, deadline_s: float) -> None:
        ids = [line.decode().strip() async for line in lines]
        if "damaged" in ids:
            raise GraphInputError("line 1: not whole")
        await self.create(ref, deadline_s=deadline_s)
        ops = [UpsertNode(id=each, label="Any") for each in ids]
        await self.apply(ref, ops, key=None, token=None, source=Source(), deadline_s=deadline_s)

    async def query(
        self, ref: GraphRef, cypher: str, params: dict[str, Any], *, row_limit: int, deadline_s: float
    ) -> Answer:
        def effect() -> Answer:
            raise GraphDeadlineError("it asks for too much")

        return await self.call("query", effect, is_write=False)

    async def neighbors(self, ref: GraphRef, ids: Sequence[str], **_: Any) -> Neighborhood:
        raise NotImplementedError

    async def scan(self, ref: GraphRef, **_: Any) -> list[Node]:
        raise NotImplementedError

    async def scan_edges(self, ref: GraphRef, **_: Any) -> list[Edge]:
        raise NotImplementedError

    async def search(self, ref: GraphRef, text: str, **_: Any) -> list[Hit]:
        raise NotImplementedError

    async def summary(self, ref: GraphRef, *, deadline_s: float) -> Summary:
        raise NotImplementedError

    async def bulk_load(self, ref: GraphRef, batches: AsyncIterator[Sequence[Op]], **_: Any) -> Applied:
        ops = [op async for batch in batches for op in batch]
        return await self.apply(ref, ops, key=None, token=None, source=Source(), deadline_s=1.0)

    async def ingest(self, ref: GraphRef, batch: FeedBatch, *, deadline_s: float) -> Fed:
        return await self.call("ingest", lambda: self._written(ref).ingest(batch), is_write=True)

    async def feeds(self, ref: GraphRef, names: Sequence[str], *, deadline_s: float) -> builtins.list[FeedState | None]:
        return await self.call("feeds", lambda: [self.file(ref).feeds.get(each) for each in names], is_write=False)

    async def get_acl(self, ref: GraphRef, *, deadline_s: float) -> GraphAccess:
        return GraphAccess(None, ALL)

    async def set_acl(self, ref: GraphRef, acl: GraphAcl | None, *, deadline_s: float) -> None:
        raise NotImplementedError

    async def forget(self, ref: GraphRef, turns: ForgetTurns, *, deadline_s: float) -> Forgotten:
        def effect() -> Forgotten:
            file = self._written(ref)
            nodes, its_keys = file.nodes, {source_of(each.feed).step_key for each in turns.feeds}
            for each in turns.feeds:
                file.feeds[each.feed] = new_feed(each.feed)._replace(next=INT_MAX)
                file.refused.pop(each.feed, None)
            gone = [
                node_id
                for node_id, node in nodes.items()
                if node.source.turn_id in turns.turn_ids or node.source.step_key in its_keys
            ]
            for node_id in gone:
                del nodes[node_id]
            return Forgotten(len(gone), 0, is_done=True)

        return await self.call("forget", effect, is_write=True)

    async def list(
        self, *, after: GraphName | None = None, limit: int = LIST_MAX, deadline_s: float
    ) -> builtins.list[tuple[GraphName, Stats]]:
        def found() -> builtins.list[tuple[GraphName, Stats]]:
            files = sorted((name, file) for name, file in self._folder.files.items() if after is None or name > after)
            return [(name, file.stats) for name, file in files[:limit]]

        return await self.call("list", found, is_write=False)

    async def close(self) -> None:
        pass

    @property
    def _folder(self) -> Folder:
        return self._shards.folders[self._member.endpoint]

    @property
    def meant(self) -> Folder:
        if self._folder.member_id != self._member.member_id:
            raise WrongOwnerError("meant for another folder")
        return self._folder

    def file(self, ref: GraphRef) -> File:
        file = self.meant.files.get(GraphName(ref.tenant, ref.graph))
        if file is None or file.ref != ref or file.state is GraphState.RETIRED:
            raise WrongOwnerError("not here, or not so")
        return file

    def _written(self, ref: GraphRef) -> File:
        file = self.file(ref)
        if file.state is GraphState.SEALED:
            raise WrongOwnerError("sealed")
        return file

    async def call(self, method: str, effect: Callable[[], T], *, is_write: bool) -> T:
        self._shards.calls.append((self._member.endpoint, method))
        await asyncio.sleep(0)
        if self._member.endpoint in self._shards.down:
            raise ShardUnavailableError("connection refused")
        if self._member.endpoint in self._shards.outdated and method in _OF_MOVES:
            raise ShardUnavailableError("it is of another version")
        fault = next((each for each in self._shards.faults if each.method == method), None)
        if fault is None:
            return effect()
        self._shards.faults.remove(fault)
        if fault.is_after:
            answer = effect()
            await self._break(fault, is_write)
            return answer
        await self._break(fault, is_write)
        return effect()

    async def _break(self, fault: Fault, is_write: bool) -> None:
        if fault.is_busy:
            raise ShardBusyError("no room")
        if fault.is_damaged:
            raise GraphFileError("the graph's file is damaged")
        if fault.is_silent:
            raise ShardSilentError("not in time")
        if fault.is_bug:
            raise InternalError("OSError: [Errno 5] Input/output error")
        if not fault.hangs:
            raise OutcomeUnknownError("cut off") if is_write else ShardUnavailableError("cut off")
        self._shards.hanging.set()
        await self._shards.may_go_on.wait()
