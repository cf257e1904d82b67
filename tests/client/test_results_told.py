"""Who followed a turn to its end has its result."""

import asyncio

import pytest

from argosy import AsyncClient, Client
from tests.client.scripted import TURN, Scripted, event, stream, turn

STARTED = event("1-1", "turn.started", 1)


@pytest.mark.parametrize("result", [{"n": 1}, None])
async def test_a_result_that_a_stream_told_is_not_asked_for_again(result: object, gateway: Scripted) -> None:
    gateway.will_say(stream(STARTED, event("1-2", "turn.completed", 2, result=result)))

    async with AsyncClient(gateway.url) as client:
        handle = client.turn(TURN)
        types = [each.type async for each in handle.events()]
        found = await handle.result()

    assert (types, found) == (["turn.started", "turn.completed"], result)
    assert len(gateway.asked) == 1


async def test_the_client_that_blocks_does_the_same(gateway: Scripted) -> None:
    gateway.will_say(stream(STARTED, event("1-2", "turn.completed", 2, result=[7])))

    def follow() -> object:
        with Client(gateway.url) as client:
            handle = client.turn(TURN)
            list(handle.events())
            return handle.result()

    assert await asyncio.to_thread(follow) == [7]
    assert len(gateway.asked) == 1


@pytest.mark.parametrize("told", [{"result_size_bytes": 70_000}, {}])
async def test_a_large_result_and_one_that_an_older_gateway_did_not_tell_are_asked_for(
    told: dict[str, int], gateway: Scripted
) -> None:
    gateway.will_say(stream(STARTED, event("1-2", "turn.completed", 2, **told)), turn("completed", result="large"))

    async with AsyncClient(gateway.url) as client:
        handle = client.turn(TURN)
        async for _ in handle.events():
            pass
        assert await handle.result() == "large"

    assert len(gateway.asked) == 2
