"""An idempotent sink: a real HTTP server, one process, that numbers whatever reaches it. Standard library only.

POST /effects   one effect, the JSON of `effect_body`; answered 200 {"number": n, "repeated": bool}, or 503 while
                `fail_times` receipts of its key have not failed yet; after `delay_s` seconds
GET  /effects   everything received, in order
POST /reset     forget everything

One counter numbers receipts and answers alike, so that "began before the other was over" is a comparison of numbers.
The process ends when its standard input closes, so it cannot outlive the test that started it.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.checker.seen import Effect

_STARTED, _FINISHED, _SUCCEEDED = 0, 1, 6


class _State:
    def __init__(self) -> None:
        self.number = 0
        self.receipts: list[list[Any]] = []
        self.receipts_of_key: Counter[str] = Counter()
        self.first_number: dict[str, int] = {}

    def next_number(self) -> int:
        self.number += 1
        return self.number


class _Connection(asyncio.Protocol):
    """Keep-alive HTTP/1.1, no pipelining."""

    def __init__(self, state: _State) -> None:
        self._state = state
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = bytes(self._buffer[:head_end]).lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._buffer) < head_end + 4 + length:
            return
        body = bytes(self._buffer[head_end + 4 : head_end + 4 + length])
        del self._buffer[: head_end + 4 + length]
        if head.startswith(b"post /effects"):
            self._receive(json.loads(body))
        elif head.startswith(b"post /reset"):
            self._state.__init__()  # type: ignore[misc]
            self._answer(200, {})
        else:
            self._answer(200, self._state.receipts)

    def _receive(self, sent: dict[str, Any]) -> None:
        state, key = self._state, sent["idempotency_key"]
        state.receipts_of_key[key] += 1
        succeeds = state.receipts_of_key[key] > sent.get("fail_times", 0)
        number = state.next_number()
        names = (sent["turn_id"], sent["step_key"], key, sent["session"])
        receipt = [number, 0, *names, succeeds, sent.get("attempt", 0), sent.get("pid", 0), time.time()]
        state.receipts.append(receipt)
        is_repeated = key in state.first_number
        if succeeds:
            state.first_number.setdefault(key, number)
        if delay_s := sent.get("delay_s", 0):
            asyncio.get_running_loop().call_later(delay_s, self._finish, receipt, is_repeated)
        else:
            self._finish(receipt, is_repeated)

    def _finish(self, receipt: list[Any], is_repeated: bool) -> None:
        receipt[_FINISHED] = self._state.next_number()
        if receipt[_SUCCEEDED]:
            self._answer(200, {"number": self._state.first_number.get(receipt[4], 0), "repeated": is_repeated})
        else:
            self._answer(503, {})

    def _answer(self, status: int, content: Any) -> None:
        body = json.dumps(content).encode()
        head = f"HTTP/1.1 {status} -\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)


async def _serve(host: str) -> None:
    loop = asyncio.get_running_loop()
    state = _State()
    server = await loop.create_server(lambda: _Connection(state), host, 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.buffer.read)


class Sink:
    """A running sink. address: host:port, as test workflows take it in their input. host: where it listens."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.checker.sink", host],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        assert self._process.stdout is not None
        self.address = f"{host}:{int(self._process.stdout.readline())}"

    def effects(self) -> tuple[Effect, ...]:
        """Everything received so far, in order."""
        with urlopen(f"http://{self.address}/effects", timeout=30) as answer:
            return tuple(Effect(*receipt) for receipt in json.load(answer))

    def reset(self) -> None:
        """Forget everything."""
        urlopen(Request(f"http://{self.address}/reset", b""), timeout=30).close()

    def stop(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
