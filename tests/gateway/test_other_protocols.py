"""A request that asks for another protocol is answered as any other, within the same bounds."""

import asyncio

import pytest

from tests.gateway.stream.conftest import Serve
from tests.gateway.stream.conftest import serve as serve
from tests.gateway.test_processes import start as start
from tests.gateway.wire import GET, POST, refusal, wire

JAVA = b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\nUpgrade: h2c\r\n"
BODY = b'{"workflow":"no such one"}'


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 26\r\n\r\n" + BODY,
        b"Transfer-Encoding: chunked\r\n\r\n5\r\n"
        + BODY[:5]
        + b"\r\n15\r\n"
        + BODY[5:]
        + b"\r\n0\r\nX-Trailer: 1\r\n\r\n",
    ],
    ids=["length", "chunked"],
)
@pytest.mark.parametrize("piece_size_bytes", [1, 16, 10_000])
async def test_a_request_that_asks_for_another_protocol_is_answered_with_its_body_and_so_is_the_next_one(
    serve: Serve, rest: bytes, piece_size_bytes: int
) -> None:
    gateway = await serve()
    sent = (POST + JAVA + rest) * 2 + GET + JAVA + b"\r\n" + GET + b"\r\n"
    async with wire(gateway) as client:
        for begin in range(0, len(sent), piece_size_bytes):
            await client.send(sent[begin : begin + piece_size_bytes])
            await asyncio.sleep(0)

        assert [(await client.answer())[0] for _ in range(4)] == [422, 422, 200, 200]


async def test_another_protocol_is_no_way_around_the_bounds(serve: Serve) -> None:
    gateway = await serve()
    begun = POST + JAVA + b"Transfer-Encoding: chunked\r\n\r\n0\r\n"

    assert await refusal(gateway, begun, b"".join(b"X-%d: 1\r\n" % n for n in range(200))) == (431, "head_too_large")
    assert await refusal(gateway, POST + JAVA + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}") == (
        400,
        "invalid_http",
    )
    async with wire(gateway) as client:
        await client.send((GET + JAVA + b"\r\n") * 20)
        assert [(await client.answer())[0] for _ in range(9)] == [200] * 9
        assert await client.is_closed()
