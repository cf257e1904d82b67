"""The pipe between two shards: whoever ends first, what came through counts, and nothing is left running."""

import asyncio
import hashlib
import uuid
from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from argosy.errors import CopyBrokenError, OwnershipLostError, ShardBusyError, ShardUnavailableError
from argosy.graph.copies import CopyPart, Received
from argosy.workers.maintenance.copying import Gate, Open, Pipe
from tests.shards.engines import new_ref

PARTS = 3


def part(number: int) -> CopyPart:
    is_last = number == PARTS - 1
    return CopyPart(number, b"x", PARTS, hashlib.sha256(b"xxx").digest() if is_last else b"")


class Source:
    """A shard that sends a copy. Its stream breaks behind so many parts, when it is told to; else it waits for a word
    behind the last one. ended: whether the stream was closed.
    """

    def __init__(self, breaks_behind: int | None = None) -> None:
        self.said = asyncio.Event()
        self.ended = False
        self._breaks_behind = breaks_behind

    async def copy(self, *_: object, **__: object) -> AsyncGenerator[CopyPart, None]:
        try:
            for number in range(PARTS):
                if number == self._breaks_behind:
                    break
                yield part(number)
            if self._breaks_behind is not None:
                raise ShardUnavailableError("the connection broke")
            await self.said.wait()
        finally:
            self.ended = True

    copy_tail = copy


class Target:
    """A shard whose client takes parts in a task of its own, as that of gRPC does. It answers at this part, or at the
    end of all of them. keeps: how many of them it can say that it has; None: those that it took.
    """

    def __init__(
        self, answers_at: int | None = None, refusal: Exception | None = None, keeps: int | None = None
    ) -> None:
        self.taken: list[int] = []
        self.taking: asyncio.Task[None] | None = None
        self._answers_at = answers_at
        self._refusal = refusal
        self._keeps = keeps

    async def receive(self, _: object, __: object, parts: AsyncIterator[CopyPart], **___: object) -> Received:
        answer = asyncio.Event()

        async def take() -> None:
            async for each in parts:
                self.taken.append(each.offset)
                if each.offset == self._answers_at:
                    answer.set()
            answer.set()

        self.taking = asyncio.create_task(take())
        await answer.wait()
        await asyncio.sleep(0)  # by now the client waits for the next part
        if self._refusal is not None:
            raise self._refusal
        has = len(self.taken) if self._keeps is None else self._keeps
        return Received(has, has, is_whole=has == PARTS, is_landed=False)


def pipe(source: Source, target: Target) -> Pipe:
    return Pipe(new_ref(), uuid.uuid4(), source, target)  # type: ignore[arg-type]


async def test_a_target_may_answer_before_the_sources_stream_has_ended() -> None:
    source, target = Source(), Target(PARTS - 1)

    last = await pipe(source, target).send_base(Open())

    assert (last, target.taken, source.ended) == (part(PARTS - 1), [0, 1, 2], True)
    assert target.taking is not None
    await asyncio.wait_for(target.taking, 5)  # it is told that there are no more


async def test_what_a_target_says_that_refuses_a_part_is_said() -> None:
    source, target = Source(), Target(0, ShardBusyError("there is no room"))

    with pytest.raises(ShardBusyError, match="no room"):
        await pipe(source, target).send_base(Open())

    assert source.ended
    assert target.taking is not None
    await asyncio.wait_for(target.taking, 5)


@pytest.mark.parametrize("is_tail", [False, True])
async def test_what_a_target_has_whole_is_not_lost_to_a_source_that_breaks_behind_its_last_part(is_tail: bool) -> None:
    source, target = Source(breaks_behind=PARTS), Target()
    through = pipe(source, target)

    last = await (through.send_tail(0, Open(), 5.0) if is_tail else through.send_base(Open()))

    assert (last, target.taken, source.ended) == (part(PARTS - 1), [0, 1, 2], True)


@pytest.mark.parametrize("is_tail", [False, True])
@pytest.mark.parametrize(
    ("breaks_behind", "keeps"),
    [(PARTS - 1, None), (PARTS, PARTS - 1)],
    ids=["before the last part", "and the target has less"],
)
async def test_a_source_that_breaks_before_its_target_has_all_breaks_the_copy(
    breaks_behind: int, keeps: int | None, is_tail: bool
) -> None:
    through = pipe(Source(breaks_behind), Target(keeps=keeps))

    with pytest.raises(ShardUnavailableError, match="the connection broke"):
        await (through.send_tail(0, Open(), 5.0) if is_tail else through.send_base(Open()))


async def test_a_target_that_refuses_what_it_has_whole_is_heard_when_its_source_breaks_then() -> None:
    with pytest.raises(CopyBrokenError, match="no sound file"):
        await pipe(Source(breaks_behind=PARTS), Target(refusal=CopyBrokenError("no sound file"))).send_base(Open())


class Closed(Gate):
    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    async def admit(self, part: CopyPart) -> bool:
        if part.offset == 0:
            return True
        if self._error is not None:
            raise self._error
        return False


@pytest.mark.parametrize("error", [OwnershipLostError("somebody else leads"), ValueError("a fault")])
async def test_what_the_gate_raises_is_what_the_pipe_raises(error: Exception) -> None:
    source, target = Source(), Target()

    with pytest.raises(type(error), match=str(error)):
        await pipe(source, target).send_base(Closed(error))

    assert source.ended


async def test_a_copy_that_is_not_wanted_any_more_ends() -> None:
    source, target = Source(), Target()

    with pytest.raises(CopyBrokenError, match="not wanted any more"):
        await pipe(source, target).send_base(Closed())

    assert source.ended
