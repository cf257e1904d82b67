"""Clients that follow one turn each to its end, over as many connections as it takes, and note what they got."""

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any

import httpx2
import msgspec

from argosy import AsyncClient
from argosy.client import Assembler, Event, Resync, StreamEvent
from tests.checker.followed import Followed, Message
from tests.checker.history import ENDING_EVENT

_ENDINGS = frozenset(ENDING_EVENT.values())
_SILENT_S = 3.0
# A reader goes elsewhere by itself, too, after so many messages.
_MESSAGES = (30, 400)

Listener = Callable[[Message], None]


async def read(http: httpx2.AsyncClient, urls: Sequence[str], turn_id: str, seed: int, listener: Listener) -> Followed:
    """By the bytes on the wire: whoever is silent, refuses or breaks is left for the other, with the last id."""
    dice = random.Random(f"{seed} {turn_id}")
    messages: list[Message] = []
    last, connection = "", 0
    while True:
        connection += 1
        url = f"{urls[connection % len(urls)]}/v1/turns/{turn_id}/events"
        headers = {"accept": "text/event-stream"} | ({"last-event-id": last} if last else {})
        left = dice.randint(*_MESSAGES)
        try:
            async with http.stream("GET", url, headers=headers) as response:
                assert response.status_code in (200, 204, 502, 503), f"{turn_id} after {last}: {response.status_code}"
                if response.status_code == 204:
                    return Followed(turn_id, tuple(messages))
                message: dict[str, str] = {}
                async for line in response.aiter_lines():
                    if line:
                        name, _, value = line.partition(": ")
                        message[name] = value
                        continue
                    if "data" in message:
                        last = message.get("id", last)
                        messages.append(_of_wire(connection, json.loads(message["data"])))
                        listener(messages[-1])
                        left -= 1
                        # What completes a channel has no id, and the event after it says the same.
                        if messages[-1].type in _ENDINGS or (left <= 0 and "id" in message):
                            break
                    message = {}
        except httpx2.TransportError:
            pass
        if messages and messages[-1].type in _ENDINGS:
            return Followed(turn_id, tuple(messages))
        await asyncio.sleep(dice.uniform(0.02, 0.2))


def _of_wire(connection: int, body: dict[str, Any]) -> Message:
    return Message(connection, body["type"], body["seq"], body["attempt"], body.get("key", ""), body["data"])


async def follow(client: AsyncClient, turn_id: str, listener: Listener) -> Followed:
    """With the client library, which connects anew by itself: each time is counted at its HTTP clients."""
    messages: list[Message] = []
    assembler = Assembler()
    connection = 0

    async def count(response: httpx2.Response) -> None:
        nonlocal connection
        connection += turn_id in response.request.url.path

    hooks = [each.event_hooks["response"] for each in client._asking.http]
    for each in hooks:
        each.append(count)
    try:
        async with aclosing(client.turn(turn_id).events()) as events:
            async for event in events:
                assembler.take(event)
                messages.append(_of_event(connection, event))
                listener(messages[-1])
    finally:
        for each in hooks:
            each.remove(count)
    shows = {(each.step, each.name): each.value for each in assembler.channels}
    return Followed(turn_id, tuple(messages), shows)


def _of_event(connection: int, event: StreamEvent) -> Message:
    key, data = "", {}
    if isinstance(event, Event):
        key, data = event.key, event.data
    elif isinstance(event, Resync):
        data = {"from_seq": event.from_seq}
    else:
        data = {name: value for name in _MEMBERS if (value := getattr(event, name, msgspec.UNSET)) is not msgspec.UNSET}
    return Message(connection, event.type, event.seq, event.attempt, key, data)


_MEMBERS = ("step", "channel", "n", "offset", "text", "json", "patch")


def http_of() -> httpx2.AsyncClient:
    """For many readers at once."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
    return httpx2.AsyncClient(limits=limits, timeout=httpx2.Timeout(10, read=_SILENT_S), trust_env=False)
