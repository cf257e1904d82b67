"""What both clients do when a gateway refuses, breaks off, or is not one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

from argosy import AsyncClient, Client
from argosy.client import (
    GatewayUnreachableError,
    ProblemError,
    TurnFailedError,
    TurnNotFoundError,
    TurnParkedError,
    calls,
)
from argosy.errors import CallerError, EncodingError
from tests.client.both import Both
from tests.client.scripted import BROKEN, TURN, Said, Scripted, answer, event, problem, stream, turn
from tests.harness.processes import free_port

ACCEPTED = answer(202, turn_id=TURN, status="accepted")
AWAY = problem(503, "log_unavailable", is_retryable=True)

STARTED = event("1-1", "turn.started", 1)
SAID = event("1-1.1.1", "frame", 1, n=1, step="draft", channel="answer", offset=0, text="hel")
STEP = event("1-2", "step.completed", 2, "draft", result=1, channels={"answer": {"text": "hello"}})
ENDED = event("1-3", "turn.completed", 3)


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
        await client.run(gateway.url, retry_s=0.3, timeout_s=0.9)

    assert raised.value.is_retryable
    assert len(gateway.asked) > 1


async def test_nobody_at_the_address_is_one_error_that_names_the_key(client: Both) -> None:
    url = f"http://127.0.0.1:{free_port()}"

    with pytest.raises(GatewayUnreachableError, match=f"no gateway answers at {url}: .*repeat it with the key 'k1'"):
        await client.run(url, retry_s=0.2, timeout_s=0.9, key="k1")


@pytest.mark.parametrize("said", [Said(200, b"<html>"), Said(404, b"<html>")])
async def test_something_else_at_the_address_is_said(said: Said, client: Both, gateway: Scripted) -> None:
    gateway.will_say(said)

    with pytest.raises((CallerError, ProblemError), match=r"no gateway of Argosy|not_a_gateway"):
        await client.run(gateway.url)


async def test_an_input_that_is_no_json_is_refused_before_anything_is_sent(gateway: Scripted) -> None:
    with Client(gateway.url) as client, pytest.raises(EncodingError, match=r"the input .* nan at \$.x"):
        client.submit("echo", {"x": float("nan")})

    assert gateway.asked == []


@pytest.mark.parametrize("url", ["127.0.0.1:9000", "ftp://x", "httpx://x", "", "unix:relative"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(CallerError, match="is no address of a gateway"):
        Client(url)


async def test_nobody_waits_longer_than_he_said_for_a_gateway_that_is_not_there(client: Both) -> None:
    url = f"http://127.0.0.1:{free_port()}"

    async with asyncio.timeout(3):
        with pytest.raises(TimeoutError, match=r"within 0.3 s; .* unknown: repeat it with the key 'k1'"):
            await client.run(url, retry_s=30, timeout_s=0.3, key="k1")


async def test_nobody_waits_longer_than_he_said_for_a_gateway_that_says_nothing(
    client: Both, gateway: Scripted
) -> None:
    gateway.will_say(Said(0, is_kept=True))

    async with asyncio.timeout(3):
        with pytest.raises(TimeoutError, match=r"has not ended within 0.3 s; it goes on"):
            await client.on_turn(gateway.url, "result", timeout_s=0.3)


async def test_a_turn_that_is_parked_is_not_waited_for(client: Both, gateway: Scripted) -> None:
    gateway.will_say(ACCEPTED, turn("parked", reason="poison"))

    with pytest.raises(TurnParkedError, match="is parked"):
        await client.run(gateway.url)

    assert [each.headers.get("prefer") for each in gateway.asked] == ["wait=1", None]


@pytest.mark.parametrize(("method", "given"), [("resume", {}), ("signal", {"name": "go"})])
async def test_what_steers_a_turn_is_repeated_under_its_key(
    method: str, given: dict[str, Any], client: Both, gateway: Scripted
) -> None:
    gateway.will_say(BROKEN, answer(202, turn_id=TURN, status="running"))

    await client.on_turn(gateway.url, method, **given)

    keys = [each.headers["idempotency-key"] for each in gateway.asked]
    assert (len(keys), len(set(keys))) == (2, 1)


async def test_a_client_is_of_a_tenant_and_says_what_it_is_given(gateway: Scripted) -> None:
    gateway.will_say(turn("running"))
    given = {"authorization": "Bearer x"}

    with Client(gateway.url, tenant="acme", headers=given) as client:
        await asyncio.to_thread(client.turn(TURN).get)
    async with AsyncClient(gateway.url, tenant="acme", headers=given) as other:
        await other.turn(TURN).get()

    said = [(each.headers["x-argosy-tenant"], each.headers["authorization"]) for each in gateway.asked]
    assert said == [("acme", "Bearer x")] * 2


@pytest.mark.parametrize("bad", ["two\nlines", "schlüssel", "\x1b"])
async def test_what_no_header_can_hold_is_refused_before_anything_is_sent(
    bad: str, client: Both, gateway: Scripted
) -> None:
    for call in (
        client.run(gateway.url, key=bad),
        client.events(gateway.url, after=bad),
        client.on_turn(gateway.url, "resume", key=bad),
    ):
        with pytest.raises(CallerError, match="no header can hold"):
            await call
    for given in ({"tenant": bad}, {"headers": {"x": bad}}):
        with pytest.raises(CallerError, match="no header can hold"):
            Client(gateway.url, **given)

    assert gateway.asked == []


def test_what_is_said_of_a_turn_is_sent_as_it_is() -> None:
    body = msgspec.json.decode(calls.submit("echo", deadline_s=0, priority=0, tags=("paid",)).content)

    assert body == {"workflow": "echo", "input": None, "deadline_s": 0, "tags": ["paid"]}
    with pytest.raises(CallerError, match="tags are a list"):
        calls.submit("echo", tags="paid")


# Streams


async def test_a_message_without_an_id_has_none_of_its_own(client: Both, gateway: Scripted) -> None:
    whole = event("", "frame", 1, n=0, step="draft", channel="answer", offset=0, text="hel")
    again = event("1-1.1.1", "frame", 1, n=0, step="draft", channel="answer", offset=0, text="hel")
    gateway.will_say(stream(STARTED, whole, SAID, again, is_cut=True), stream(again, ENDED))

    events = await client.events(gateway.url)

    assert [each.id for each in events] == ["1-1", "", "1-1.1.1", "", "", "1-3"]
    assert gateway.asked[1].headers["last-event-id"] == "1-1.1.1"


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
