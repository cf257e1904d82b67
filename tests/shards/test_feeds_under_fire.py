"""Feeds while everything happens at once: senders that compete, give up and are late; a graph that is dropped, made
again, sealed and moved; others who write and ask. In each life of the graph each line is done once, and what a query
sees is never behind what a sender was told.
"""

import asyncio
import random
import uuid
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

import pytest

from argosy.errors import ArgosyError, WrongOwnerError
from argosy.graph.facts import GraphRef, GraphState
from argosy.graph.ops import UpsertNode
from argosy.graph.transport import Transport
from argosy.shards.engine import Engine
from tests.shards.asked import ask
from tests.shards.engines import Opened, new_ref, person
from tests.shards.feeding import Upload, upload
from tests.shards.shards import S, apply, sent, shard_of

# Each is refused if it is done again.
LINES = upload(*(UpsertNode(f"{number:05}", "Line", {"n": number}, if_absent=True) for number in range(1, 801)))


T = TypeVar("T")


async def allowed(call: Awaitable[T]) -> T | None:
    """Return what a call does, or None when its graph is not there or not so now."""
    await asyncio.sleep(0)  # a call that is refused at once lets nobody else run
    try:
        return await call
    except ArgosyError:
        return None


class Fire:
    """One graph under fire. done: by life, how many lines somebody was told are done."""

    def __init__(self, shard: Transport) -> None:
        self._shard = shard
        self.ref = new_ref()
        self.old: list[GraphRef] = []
        self.done: dict[uuid.UUID, int] = {}
        self.is_over = False

    async def send(self) -> None:
        """Send what is next, what was sent and what comes too early, also to the graph as it was."""
        first = 1
        while not self.is_over:
            ref = random.choice(self.old) if self.old and random.random() < 0.2 else self.ref
            first = min(max(1, first + random.choice((0, 0, 0, -1, -30, 5))), len(LINES.lines))
            last = min(first + random.choice((0, 1, 10, 60)), len(LINES.lines))
            asked = asyncio.create_task(self._ingest(ref, LINES, first, last))
            if random.random() < 0.2:
                await asyncio.sleep(random.random() * 0.01)
                asked.cancel()
            try:
                number = await asked
            except (ArgosyError, asyncio.CancelledError):
                continue
            self.done[ref.incarnation] = max(number - 1, self.done.get(ref.incarnation, 0))
            first = number

    async def _ingest(self, ref: GraphRef, lines: Upload, first: int, last: int) -> int:
        deadline_s = random.choice((0.002, 0.05, S))
        fed = await self._shard.ingest(ref, lines.batch(first, last), deadline_s=deadline_s)
        assert fed.state == lines.state(fed.state.next - 1)
        assert fed.refused == []
        return fed.state.next

    async def write(self) -> None:
        while not self.is_over:
            await allowed(apply(self._shard, self.ref, person("other", n=random.random())))

    async def query(self) -> None:
        while not self.is_over:
            ref = self.ref
            told = self.done.get(ref.incarnation, 0)
            rows = await allowed(ask(self._shard, ref, "MATCH (n:Line) RETURN count(n), max(n.n)"))
            if rows is not None:
                count, last = rows[0]
                assert count == (last or 0)
                assert count >= told

    async def drop_and_make_again(self) -> None:
        await asyncio.sleep(random.random() * 0.6)
        self.old.append(self.ref)
        await self._shard.drop(self.ref, deadline_s=S)
        self.ref = self.ref._replace(incarnation=uuid.uuid4(), generation=1)
        await self._shard.create(self.ref, deadline_s=S)

    async def move(self) -> None:
        """Seal the graph, take a copy, let it go, and bring the copy in."""
        await asyncio.sleep(random.random() * 0.6)
        before, after = self.ref, self.ref._replace(generation=self.ref.generation + 1)
        await self._shard.copies.set_state(before, GraphState.SEALED, before.generation, deadline_s=S)
        lines = [part async for part in self._shard.export(before, deadline_s=S)]
        self.old.append(before)
        await self._shard.drop(before, deadline_s=S)
        await self._shard.restore(after, sent(*lines), deadline_s=S)
        self.ref = after

    async def check(self) -> None:
        (state,) = await self._shard.feeds(self.ref, ["job"], deadline_s=S)
        done = 0 if state is None else state.next - 1
        assert done >= self.done.get(self.ref.incarnation, 0)
        assert state == (LINES.state(done) if done else None)
        nodes = await self._shard.scan(self.ref, label="Line", limit=5_000, deadline_s=S)
        assert [node.id for node in nodes] == [f"{number:05}" for number in range(1, done + 1)]
        for ref in self.old:
            with pytest.raises(WrongOwnerError):
                await self._shard.ingest(ref, LINES.batch(1, 1), deadline_s=S)


async def go(engine: Engine, disasters: int) -> None:
    async with shard_of(engine) as shard:
        fire = Fire(shard)
        await shard.create(fire.ref, deadline_s=S)
        acting = [asyncio.create_task(act()) for act in (*[fire.send] * 4, fire.write, fire.query, fire.query)]
        for _ in range(disasters):
            await random.choice((fire.drop_and_make_again, fire.move, fire.move))()
            for each in acting:
                if each.done():
                    await each
        fire.is_over = True
        await asyncio.gather(*acting)
        await fire.check()


async def test_each_line_is_done_once_in_each_life_of_a_graph(opened: Opened, tmp_path: Path) -> None:
    await go(opened(tmp_path), disasters=3)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_each_line_is_done_once_in_each_of_many_lives(opened: Opened, tmp_path: Path) -> None:
    await go(opened(tmp_path), disasters=60)
