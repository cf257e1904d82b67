"""Copies from and to a shard, over gRPC."""

import contextlib
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final

from argosy.graph import copy_messages, messages
from argosy.graph.copies import CopyPart, CopySums, Received
from argosy.graph.facts import GraphRef, GraphState, Stats
from argosy.graph.transports.methods import WRITTEN, method
from argosy.rpc import shard_pb2 as pb
from argosy.rpc.call_client import Caller, Method

_COPY: Final = method("Copy")
_COPY_TAIL: Final = method("CopyTail")
_RELEASE_COPY: Final = method("ReleaseCopy")
_RECEIVE: Final = method("Receive", writes=True)
_LAND: Final = method("Land", writes=True)
_SET_STATE: Final = method("SetState", writes=True)
_ACTIVATE: Final = method("Activate", writes=True)
_ABANDON: Final = method("Abandon", writes=True)


class GrpcCopies:
    """One shard's (graph/copies.py, Copies)."""

    def __init__(self, caller: Caller, member_id: uuid.UUID) -> None:
        self._caller = caller
        self._member_id = member_id

    def copy(
        self, ref: GraphRef, copy_id: uuid.UUID, *, offset: int = 0, deadline_s: float
    ) -> AsyncGenerator[CopyPart, None]:
        return self._parts(_COPY, ref, copy_id, offset, deadline_s)

    def copy_tail(
        self, ref: GraphRef, copy_id: uuid.UUID, *, offset: int, deadline_s: float
    ) -> AsyncGenerator[CopyPart, None]:
        return self._parts(_COPY_TAIL, ref, copy_id, offset, deadline_s)

    async def release_copy(self, ref: GraphRef, copy_id: uuid.UUID, *, deadline_s: float) -> None:
        with WRITTEN:
            request = pb.ReleaseCopyRequest(graph=messages.graph_to_pb(ref), copy_id=copy_id.bytes)
        await self._ask(_RELEASE_COPY, request, deadline_s)

    async def receive(
        self,
        ref: GraphRef,
        copy_id: uuid.UUID,
        parts: AsyncIterator[CopyPart],
        *,
        is_tail: bool = False,
        deadline_s: float,
    ) -> Received:
        with WRITTEN:
            first = pb.ReceiveRequest(graph=messages.graph_to_pb(ref), copy_id=copy_id.bytes, is_tail=is_tail)

        async def requests() -> AsyncIterator[pb.ReceiveRequest]:
            yield first
            async for part in parts:
                yield pb.ReceiveRequest(part=copy_messages.part_to_pb(part))

        response = await self._caller.send(_RECEIVE, self._member_id, requests(), deadline_s)
        return copy_messages.received_of_pb(response)

    async def land(
        self, ref: GraphRef, copy_id: uuid.UUID, sums: CopySums, expected: Stats | None = None, *, deadline_s: float
    ) -> Stats:
        with WRITTEN:
            request = copy_messages.land_to_pb(ref, copy_id, sums, expected)
        return messages.stats_of_pb((await self._ask(_LAND, request, deadline_s)).stats)[1]

    async def set_state(self, ref: GraphRef, state: GraphState, generation: int, *, deadline_s: float) -> Stats:
        with WRITTEN:
            request = pb.SetStateRequest(graph=messages.graph_to_pb(ref), state=state.value, generation=generation)
        return messages.stats_of_pb((await self._ask(_SET_STATE, request, deadline_s)).stats)[1]

    async def activate(self, ref: GraphRef, copy_id: uuid.UUID, generation: int, *, deadline_s: float) -> Stats:
        with WRITTEN:
            request = pb.ActivateRequest(graph=messages.graph_to_pb(ref), copy_id=copy_id.bytes, generation=generation)
        return messages.stats_of_pb((await self._ask(_ACTIVATE, request, deadline_s)).stats)[1]

    async def abandon(self, ref: GraphRef, *, deadline_s: float) -> None:
        with WRITTEN:
            request = pb.AbandonRequest(graph=messages.graph_to_pb(ref))
        await self._ask(_ABANDON, request, deadline_s)

    async def _parts(
        self, called: Method, ref: GraphRef, copy_id: uuid.UUID, offset: int, deadline_s: float
    ) -> AsyncGenerator[CopyPart, None]:
        with WRITTEN:
            request = pb.CopyRequest(graph=messages.graph_to_pb(ref), copy_id=copy_id.bytes, offset=offset)
        read: Any = self._caller.read(called, self._member_id, request, deadline_s)
        async with contextlib.aclosing(read) as parts:
            async for part in parts:
                yield copy_messages.part_of_pb(part)

    async def _ask(self, called: Method, request: Any, deadline_s: float) -> Any:
        return await self._caller.ask(called, self._member_id, request, deadline_s)
