"""What both clients do when a gateway refuses, breaks off, or is not one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from argosy import AsyncClient, Client
from argosy.client import GatewayUnreachableError, ProblemError, TurnFailedError, TurnNotFoundError
from argosy.errors import CallerError, EncodingError
from tests.client.scripted import BROKEN, TURN, Said, Scripted, answer, event, problem, stream, turn
from tests.harness.processes import free_port

ACCEPTED = answer(202, turn_id=TURN, status="accepted")
AWAY = problem(503, "log_unavailable", is_retryable=True)

STARTED = event("1-1", "turn.started", 1)
SAID = event("1-1.1.1", "frame", 1, n=1, step="draft", channel="answer", offset=0, text="hel")
STEP = event("1-2", "step.completed", 2, "draft", result=1, channels={"answer": {"text": "hello"}})
ENDED = event("1-3", "turn.completed", 3)


class Both:
    """Either client, asked in the same way."""

    def __init__(self, is_async: bool) -> None:
        self._is_async = is_async

    async def run(self, *urls: str, retry_s: float = 5, **given: Any) -> Any:
        if self._is_async:
            async with AsyncClient(*urls, retry_s=retry_s) as client:
                return await client.run("echo", {}, **given)
        with Client(*urls, retry_s=retry_s) as client:
            return await asyncio.to_thread(client.run, "echo", {}, **given)

    async def events(self, *urls: str, retry_s: float = 5, after: str = "") -> list[Any]:
        if self._is_async:
            async with AsyncClient(*urls, retry_s=retry_s) as client:
                return [each async for each in client.turn(TURN).events(after=after)]
        with Client(*urls, retry_s=retry_s) as client:
            return await asyncio.to_thread(lambda: list(client.turn(TURN).events(after=after)))


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def client(request: pytest.FixtureRequest) -> Both:
    return Both(request.param)


@pytest.mark.parametrize("first", [BROKEN, AWAY, Said(502, b"<html>"), Said(200, b'{"turn', {}, is_cut=True)])
async def test_a_call_that_is_not_answered_is_repeated_at_another_gateway_under_its_key(
    first: Said, client: Both, gateway: Scripted, other_gateway: Scripted
) -> None:
    gateway.will_say(first)
    other_gateway.will_say(turn("completed", result=7))

    result = await client.run(gateway.url, other_gateway.url)

    assert result == 7
    assert gateway.asked[0].headers["idempotency-key"] == other_gateway.asked[0].headers["idempotency-key"]
    assert gateway.asked[0].path == other_gateway.asked[0].path
    assert gateway.asked[0].body == other_gateway.asked[0].body


async def test_one_gateway_is_asked_again_when_it_says_so(client: Both, gateway: Scripted) -> None:
    gateway.will_say(AWAY, BROKEN, turn("completed", result=7))

    assert await client.run(gateway.url) == 7


async def test_a_turn_that_goes_on_is_asked_for_until_it_has_ended(client: Both, gateway: Scripted) -> None:
    gateway.will_say(ACCEPTED, turn("running"), turn("completed", result=7))

    assert await client.run(gateway.url) == 7
    assert [each.path.partition("?")[0] for each in gateway.asked[1:]] == [f"/v1/turns/{TURN}"] * 2


async def test_a_refusal_is_raised_at_once_with_what_the_gateway_said(client: Both, gateway: Scripted) -> None:
    gateway.will_say(problem(422, "unknown_workflow"))

    with pytest.raises(ProblemError, match=r"unknown_workflow \(422\): it is unknown_workflow") as raised:
        await client.run(gateway.url)

    assert (raised.value.kind, raised.value.status, raised.value.is_retryable) == ("unknown_workflow", 422, False)
    assert len(gateway.asked) == 1


async def test_a_turn_that_failed_raises_what_it_raised(client: Both, gateway: Scripted) -> None:
    gateway.will_say(turn("failed", error={"type": "KeyError", "message": "'x'"}))

    with pytest.raises(TurnFailedError, match=f"turn {TURN} failed: KeyError: 'x'") as raised:
        await client.run(gateway.url)

    assert (raised.value.error_type, raised.value.message) == ("KeyError", "'x'")


async def test_patience_ends_with_the_last_refusal(client: Both, gateway: Scripted) -> None:
    gateway.will_say(AWAY)

    with pytest.raises(ProblemError, match="log_unavailable") as raised:
        await client.run(gateway.url, retry_s=0.3, timeout_s=0.1)

    assert raised.value.is_retryable
    assert len(gateway.asked) > 1


async def test_nobody_at_the_address_is_one_error_that_names_the_key(client: Both) -> None:
    url = f"http://127.0.0.1:{free_port()}"

    with pytest.raises(GatewayUnreachableError, match=f"no gateway answers at {url}: .*repeat it with the key 'k1'"):
        await client.run(url, retry_s=0.2, timeout_s=0.1, key="k1")


@pytest.mark.parametrize("said", [Said(200, b"<html>"), Said(404, b"<html>")])
async def test_something_else_at_the_address_is_said(said: Said, client: Both, gateway: Scripted) -> None:
    gateway.will_say(said)

    with pytest.raises((CallerError, ProblemError), match=r"no gateway of Argosy|not_a_gateway"):
        await client.run(gateway.url)


async def test_an_input_that_is_no_json_is_refused_before_anything_is_sent(gateway: Scripted) -> None:
    with Client(gateway.url) as client, pytest.raises(EncodingError, match=r"the input .* nan at \$.x"):
        client.submit("echo", {"x": float("nan")})

    assert gateway.asked == []


@pytest.mark.parametrize("url", ["127.0.0.1:9000", "ftp://x", "", "unix:relative"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(CallerError, match="is no address of a gateway"):
        Client(url)


# Streams


async def test_a_stream_that_breaks_goes_on_at_another_gateway_after_the_last_id(
    client: Both, gateway: Scripted, other_gateway: Scripted
) -> None:
    gateway.will_say(stream(STARTED, SAID, is_cut=True))
    other_gateway.will_say(stream(STEP, ENDED))

    events = await client.events(gateway.url, other_gateway.url)

    assert [each.type for each in events] == ["turn.started", "frame", "step.completed", "turn.completed"]
    assert "last-event-id" not in gateway.asked[0].headers
    assert other_gateway.asked[0].headers["last-event-id"] == "1-1.1.1"


async def test_a_stream_ends_with_the_turn_although_the_connection_is_kept(client: Both, gateway: Scripted) -> None:
    gateway.will_say(stream(STARTED, STEP, ENDED, is_kept=True))

    async with asyncio.timeout(5):
        events = await client.events(gateway.url)

    assert [each.seq for each in events] == [1, 2, 3]


async def test_nothing_comes_of_a_turn_whose_end_is_known(client: Both, gateway: Scripted) -> None:
    gateway.will_say(Said(204))

    assert await client.events(gateway.url, after="1-3") == []
    assert gateway.asked[0].headers["last-event-id"] == "1-3"


async def test_a_gateway_that_drains_is_left_after_the_time_it_asks_for(
    client: Both, gateway: Scripted, other_gateway: Scripted
) -> None:
    gateway.will_say(stream("retry: 1000\n\n", STARTED, ": still here\n\n", "retry: 30\n\n"))
    other_gateway.will_say(stream("retry: 1000\n\n", STEP, ENDED))

    events = await client.events(gateway.url, other_gateway.url)

    assert [each.seq for each in events] == [1, 2, 3]


async def test_a_message_that_cannot_be_read_is_read_again_and_not_for_ever(client: Both, gateway: Scripted) -> None:
    gateway.will_say(stream("event: frame\ndata: {\n\n"))

    with pytest.raises(GatewayUnreachableError, match="cannot be read"):
        await client.events(gateway.url, retry_s=0.2)


async def test_a_turn_that_is_not_there_has_no_events(client: Both, gateway: Scripted) -> None:
    gateway.will_say(problem(404, "turn_not_found"))

    with pytest.raises(TurnNotFoundError):
        await client.events(gateway.url)


async def test_a_stream_that_is_left_closes_its_connection(gateway: Scripted) -> None:
    gateway.will_say(stream(STARTED, is_kept=True))

    async def first(events: AsyncIterator[Any], close: Callable[[], Any]) -> Any:
        try:
            return await anext(events)
        finally:
            await close()

    async with AsyncClient(gateway.url) as client:
        events = client.turn(TURN).events()
        assert (await first(events, events.aclose)).seq == 1
