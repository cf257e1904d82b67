"""`request`: any route of a gateway, by the rules of every other call."""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from argosy import Client
from argosy.client import GatewayUnreachableError, ProblemError, TurnNotFoundError
from argosy.errors import CallerError
from tests.client.both import Both
from tests.client.scripted import BROKEN, TURN, Said, Scripted, answer, problem
from tests.harness.processes import free_port

AWAY = problem(503, "store_unavailable", is_retryable=True)


async def test_an_answer_is_its_json(client: Both, gateway: Scripted) -> None:
    gateway.will_say(answer(200, workers=[], lanes=[1]))

    told = await client.request(gateway.url, method="GET", path="/v1/fleet?limit=2")

    assert told == {"workers": [], "lanes": [1]}
    (asked,) = gateway.asked
    assert (asked.method, asked.path, asked.body) == ("GET", "/v1/fleet?limit=2", b"")
    assert not {"idempotency-key", "content-type"} & asked.headers.keys()


@pytest.mark.parametrize(("body", "told"), [(b"", None), (b"1e400", float("inf")), (b'"\\ud800"', "\ud800")])
async def test_an_answer_is_whatever_json_can_say(body: bytes, told: Any, client: Both, gateway: Scripted) -> None:
    gateway.will_say(Said(200, body))

    assert await client.request(gateway.url, method="GET", path="/v1/x") == told


async def test_a_body_is_sent_as_json_with_what_the_caller_adds(client: Both, gateway: Scripted) -> None:
    gateway.will_say(answer(202, turn_id=TURN))
    content = json.dumps({"workflow": "echo"}).encode()

    await client.request(
        gateway.url, method="POST", path="/v1/sessions/s/turns", content=content, headers={"prefer": "wait=2"}, key="k"
    )

    (asked,) = gateway.asked
    said = [asked.headers[name] for name in ("content-type", "prefer", "idempotency-key")]
    assert (asked.body, said) == (content, ["application/json", "wait=2", "k"])


@pytest.mark.parametrize("key", [None, "k1"])
@pytest.mark.parametrize("first", [BROKEN, AWAY, Said(502, b"<html>")])
async def test_it_is_repeated_at_another_gateway_under_its_key(
    first: Said, key: str | None, client: Both, gateway: Scripted, other_gateway: Scripted
) -> None:
    gateway.will_say(first)
    other_gateway.will_say(answer(202, resumed=7))

    told = await client.request(gateway.url, other_gateway.url, method="POST", path="/v1/turns:resume", key=key)

    keys = [each.asked[0].headers["idempotency-key"] for each in (gateway, other_gateway)]
    assert told == {"resumed": 7}
    assert keys[0] == keys[1] != ""
    assert key in (None, keys[0])


async def test_without_patience_it_is_made_once(client: Both, gateway: Scripted) -> None:
    gateway.will_say(AWAY)

    with pytest.raises(ProblemError, match="store_unavailable"):
        await client.request(gateway.url, method="GET", path="/v1/fleet", retry_s=0)

    assert len(gateway.asked) == 1


async def test_a_refusal_is_raised_with_what_the_gateway_said(client: Both, gateway: Scripted) -> None:
    gateway.will_say(problem(404, "turn_not_found"))

    with pytest.raises(TurnNotFoundError) as raised:
        await client.request(gateway.url, method="GET", path=f"/v1/turns/{TURN}")

    assert raised.value.problem["detail"] == "it is turn_not_found"


@pytest.mark.parametrize("said", [Said(200, b"<html>"), Said(404, b"<html>"), answer(404, no="code")])
async def test_something_else_at_the_address_is_said(said: Said, client: Both, gateway: Scripted) -> None:
    gateway.will_say(said)

    with pytest.raises(ProblemError) as raised:
        await client.request(gateway.url, method="GET", path="/v1/fleet")

    assert (raised.value.kind, raised.value.status) == ("not_a_gateway", said.status)


async def test_nobody_at_the_address_is_one_error(client: Both) -> None:
    url = f"http://127.0.0.1:{free_port()}"

    with pytest.raises(GatewayUnreachableError, match=f"no gateway answers at {url}: "):
        await client.request(url, method="GET", path="/v1/fleet", retry_s=0)


async def test_a_gateway_may_take_as_long_as_the_caller_says(client: Both, gateway: Scripted) -> None:
    gateway.will_say(Said(0, is_kept=True))

    async with asyncio.timeout(5):
        with pytest.raises(GatewayUnreachableError):
            await client.request(gateway.url, method="GET", path="/v1/fleet", retry_s=0, answer_s=0.2)


async def test_a_gateway_at_a_socket_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "gateway"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]")

        with Client(f"unix:{path}") as client:
            served = asyncio.create_task(asyncio.to_thread(serve))
            assert await asyncio.to_thread(client.request, "GET", "/v1/fleet") == []
            await served


@pytest.mark.parametrize("bad", ["two\nlines", "schlüssel", "\x1b"])
async def test_what_no_header_can_hold_is_refused_before_anything_is_sent(
    bad: str, client: Both, gateway: Scripted
) -> None:
    for given in ({"key": bad}, {"headers": {"x": bad}}, {"headers": {bad: "x"}}):
        with pytest.raises(CallerError, match="no header can hold"):
            await client.request(gateway.url, method="POST", path="/v1/turns:resume", **given)

    assert gateway.asked == []
