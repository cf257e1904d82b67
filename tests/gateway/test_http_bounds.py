"""What a gateway takes of a connection before it knows who asks for what: bounded in size, number and time."""

import asyncio
import contextlib
import socket
from typing import Any

import httpx2
import pytest

from tests.gateway.stream.conftest import Gateway, Serve
from tests.gateway.stream.conftest import serve as serve
from tests.gateway.stream.until import until
from tests.gateway.test_processes import start as start
from tests.gateway.wire import GET, MIB, POST, refusal, wire


async def test_a_head_of_the_bound_is_taken_and_a_larger_one_is_not(serve: Serve) -> None:
    gateway = await serve(gateway_head_size_bytes_max=8192)

    async with wire(gateway) as client:
        await client.send(GET + b"X-Long: " + b"x" * 8_000 + b"\r\n\r\n")
        assert (await client.answer())[0] == 200
    assert await refusal(gateway, GET + b"X-Long: " + b"x" * 8_200 + b"\r\n\r\n") == (431, "head_too_large")
    assert await refusal(gateway, GET, *[b"X-%d: " % n + b"x" * 100 + b"\r\n" for n in range(90)]) == (
        431,
        "head_too_large",
    )


async def test_a_long_address_is_refused(serve: Serve) -> None:
    gateway = await serve()

    assert await refusal(gateway, b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\n\r\n") == (431, "head_too_large")


async def test_many_fields_are_refused(serve: Serve) -> None:
    gateway = await serve()

    assert await refusal(gateway, GET + b"".join(b"X-%d: 1\r\n" % n for n in range(101)) + b"\r\n") == (
        431,
        "head_too_large",
    )


async def test_half_a_field_that_never_ends_is_refused_before_its_end(serve: Serve) -> None:
    gateway = await serve()

    assert await refusal(gateway, GET + b"X-Long: ", *[b"x" * 16_384] * 4) == (431, "head_too_large")


async def test_blank_lines_that_never_end_are_refused(serve: Serve) -> None:
    gateway = await serve()

    status, _ = await refusal(gateway, *[b"\r\n" * 8_192] * 4)

    assert status in (400, 431)


async def test_trailers_are_bounded_and_change_nothing(serve: Serve) -> None:
    gateway = await serve()
    chunked = (
        b"POST /v1/sessions/s/turns HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'1a\r\n{"workflow":"no such one"}\r\n0\r\n'
    )
    async with wire(gateway) as client:
        await client.send(chunked + b"X-Argosy-Tenant: other\r\nHost: evil.example\r\n\r\n")
        assert await client.answer() == (422, await _body_of_422(gateway))
        await client.send(chunked + b"".join(b"X-%d: 1\r\n" % n for n in range(200)) + b"\r\n" + GET + b"\r\n")
        assert (await client.answer())[0] == 431
        assert await client.is_closed()


async def _body_of_422(gateway: Gateway) -> Any:
    answer = await httpx2.AsyncClient(base_url=gateway.url).post(
        "/v1/sessions/s/turns", json={"workflow": "no such one"}
    )
    return answer.json()


async def test_a_head_that_does_not_come_in_time_ends_the_connection(serve: Serve) -> None:
    gateway = await serve(gateway_head_timeout_s=0.5)

    assert await refusal(gateway, b"GET / HTTP/1.1\r\nHost: local", stays=True) == (408, "request_timeout")
    async with wire(gateway) as silent:
        assert await silent.answer() == (0, b"")


async def test_a_request_whose_head_came_in_time_may_take_longer(serve: Serve) -> None:
    gateway = await serve(gateway_head_timeout_s=0.3)
    async with wire(gateway) as client:
        await client.send(b"POST /v1/sessions/s/turns HTTP/1.1\r\nHost: localhost\r\nContent-Length: 26\r\n\r\n")
        await asyncio.sleep(0.8)  # the bound passes
        await client.send(b'{"workflow":"no such one"}')
        assert (await client.answer())[0] == 422
        await asyncio.sleep(0.8)  # idle between two requests is no head
        await client.send(GET + b"\r\n")
        assert (await client.answer())[0] == 200


async def test_a_body_that_does_not_come_in_time_is_waited_for_no_longer(serve: Serve) -> None:
    gateway = await serve(gateway_body_timeout_s=0.3)
    async with wire(gateway) as client:
        await client.send(b"POST /v1/sessions/s/turns HTTP/1.1\r\nHost: localhost\r\nContent-Length: 26\r\n\r\n{")
        status, problem = await client.answer()

    assert isinstance(problem, dict)
    assert (status, problem["code"], problem["retryable"]) == (408, "request_timeout", True)


async def test_pipelined_requests_are_answered_in_order_up_to_the_bound(serve: Serve) -> None:
    gateway = await serve(gateway_pipeline_max=3)
    async with wire(gateway) as client:
        await client.send((GET + b"\r\n") * 4)
        assert [(await client.answer())[0] for _ in range(4)] == [200] * 4
        await client.send((GET + b"\r\n") * 10)
        assert [(await client.answer())[0] for _ in range(4)] == [200] * 4
        assert await client.is_closed()


async def test_the_longest_idle_connection_makes_room_for_another(serve: Serve) -> None:
    gateway = await serve(gateway_connections_max=16)
    async with contextlib.AsyncExitStack() as stack:
        idle = [await stack.enter_async_context(wire(gateway)) for _ in range(16)]
        await until(lambda: len(gateway.server.server_state.connections) == 16)
        await idle[0].send(GET + b"\r\n")
        assert (await idle[0].answer())[0] == 200  # now the second one is the longest idle

        fresh = await stack.enter_async_context(wire(gateway))
        await fresh.send(GET + b"\r\n")

        assert (await fresh.answer())[0] == 200
        assert await idle[1].is_closed()
        await idle[0].send(GET + b"\r\n")
        assert (await idle[0].answer())[0] == 200


async def test_a_connection_beyond_the_bound_is_refused_while_none_is_idle(serve: Serve) -> None:
    gateway = await serve(gateway_connections_max=16, gateway_connections_refused_max=8)
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(16):
            busy = await stack.enter_async_context(wire(gateway))
            await busy.send(b"GET /v1/sessions/s/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await busy.reader.readline()).startswith(b"HTTP/1.1 200")

        assert await refusal(gateway) == (503, "too_many_connections")


async def test_a_stream_with_a_request_behind_it_frees_its_slot_when_the_client_goes(serve: Serve) -> None:
    gateway = await serve()
    async with wire(gateway) as client:
        await client.send(b"GET /v1/sessions/s/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await client.reader.readuntil(b"\r\n\r\n")
        await client.send(GET + b"\r\n")
        await until(lambda: gateway.state.streams.count == 1)

    await until(lambda: gateway.state.streams.count == 0, within_s=2)


async def test_a_client_that_takes_nothing_is_cut_off(serve: Serve) -> None:
    gateway = await serve(gateway_write_timeout_s=0.5)
    connection = socket.create_connection(("127.0.0.1", gateway.port))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.setblocking(False)
    asked = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with contextlib.suppress(BlockingIOError, ConnectionError):
        for _ in range(10_000):
            connection.send(asked * 8)
            await asyncio.sleep(0)

    await until(lambda: not gateway.server.server_state.connections, within_s=10)
    connection.close()


@pytest.mark.parametrize(
    ("address", "status"),
    [("http://localhost", 200), ("HTTP://LOCALHOST", 200), ("http://evil.example", 400), ("http://a@localhost", 400)],
)
async def test_an_address_that_names_another_host_than_the_head_is_refused(
    serve: Serve, address: str, status: int
) -> None:
    gateway = await serve()
    async with wire(gateway) as client:
        await client.send(f"GET {address}/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

        assert (await client.answer())[0] == status


@pytest.mark.parametrize("field", ["Host: localhost", "X-Argosy-Tenant: a", "Idempotency-Key: a", "Last-Event-ID: 1-1"])
async def test_a_field_that_may_stand_once_and_stands_twice_is_refused(serve: Serve, field: str) -> None:
    gateway = await serve()
    async with wire(gateway) as client:
        head = "GET /v1/workflows HTTP/1.1\r\nHost: localhost\r\n" + f"{field}\r\n" * (1 if "Host" in field else 2)
        await client.send(head.encode() + b"\r\n")
        status, problem = await client.answer()

    assert isinstance(problem, dict)
    assert (status, problem["code"]) == (400, "invalid_http")
    assert field.split(":")[0].lower() in problem["detail"].lower()


async def test_what_a_tenant_is_shown_is_kept_by_nobody(serve: Serve) -> None:
    gateway = await serve()

    for path in ("/v1/workflows", "/v1/turns/nothing", "/v1/sessions", "/v1/fleet"):
        assert (await gateway.client.get(path)).headers["cache-control"] == "no-store", path


async def test_health_is_told_without_a_body_to_load_balancers(serve: Serve) -> None:
    gateway = await serve()

    for path in ("/healthz", "/readyz", "/metrics"):
        asked, shown = await gateway.client.head(path), await gateway.client.get(path)
        assert (asked.status_code, asked.content) == (shown.status_code, b""), path
        assert asked.headers["content-type"] == shown.headers["content-type"]


async def test_a_request_behind_another_that_breaks_in_its_body_is_waited_for_by_nobody(serve: Serve) -> None:
    gateway = await serve()
    async with wire(gateway) as client:
        await client.send(GET + b"\r\n" + POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\nno size\r\n")

        assert (await client.answer())[0] == 200
        assert await client.is_closed(within_s=5)


async def test_a_flood_of_connections_beyond_the_bound_keeps_few_files_open(serve: Serve) -> None:
    gateway = await serve(gateway_connections_max=16, gateway_connections_refused_max=8)
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(16):
            busy = await stack.enter_async_context(wire(gateway))
            await busy.send(b"GET /v1/sessions/s/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await busy.reader.readline()).startswith(b"HTTP/1.1 200")

        flood = await asyncio.gather(*[stack.enter_async_context(wire(gateway)) for _ in range(300)])

        assert len(gateway.server.server_state.connections) <= 16 + 8
        assert {status for status, _ in await asyncio.gather(*[one.answer() for one in flood])} <= {0, 503}


async def test_a_client_that_takes_nothing_of_little_is_cut_off_when_its_connection_ends(serve: Serve) -> None:
    gateway = await serve(gateway_write_timeout_s=0.5)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.connect(("127.0.0.1", gateway.port))
    await until(lambda: len(gateway.server.server_state.connections) == 1)
    (served,) = gateway.server.server_state.connections
    served.transport.write(b"x" * 8 * MIB)  # more than the system holds for it
    served.transport.set_write_buffer_limits(high=16 * MIB)  # and less than what pauses an answer
    served.resume_writing()
    connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")

    await until(lambda: not gateway.server.server_state.connections, within_s=5)
    connection.close()
