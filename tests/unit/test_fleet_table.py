"""What `argosy fleet` draws, and what it says when nobody answers."""

import asyncio
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from argosy.cli.fleet_table import draw, in_words, read_fleet
from argosy.client import Client
from argosy.errors import ArgosyError, CallerError, UnavailableError
from tests.client.scripted import Said, Scripted, answer, problem

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LANE = {
    "lane": "default", "partitions": 64, "owned": 63, "unowned": 1, "owner_dead": 2, "lag": 17, "workers_alive": 2,
    "workers_silent": 0, "workers_dead": 1, "slots": 512, "running": 5,
}  # fmt: skip
WORKER = {
    "worker_id": "0123456789", "kind": "dispatch", "lane": "default", "build": "[red]b7", "host": "box", "pid": 4711,
    "address": "127.0.0.1:5", "state": "silent", "draining": True, "slots": 256, "in_flight": 5, "partitions": "0-31",
    "partition_count": 32, "ready_sessions": 3, "lag": 17, "started_at": (NOW - timedelta(hours=5)).isoformat(),
    "heard_s": 4.04,
}  # fmt: skip


def drawn(**changes: Any) -> str:
    drawing = io.StringIO()
    console = Console(file=drawing, width=200)
    console.print(draw({"lanes": [LANE], "workers": [WORKER], "next": None} | changes, NOW, "no news"))
    return drawing.getvalue()


def test_lanes_and_workers_are_drawn() -> None:
    text = drawn()

    for shown in (
        "2 alive, 1 dead", "5/512", "silent", "5/256", "32: 0-31", "box:4711", "[red]b7", "5h", "4.0s", "no news",
    ):  # fmt: skip
        assert shown in text


def test_lanes_are_named_with_workers_when_there_are_several() -> None:
    text = drawn(workers=[WORKER, WORKER | {"lane": "second"}])

    assert "second" in text
    assert "second" not in drawn()


def test_a_worker_that_drains_says_so() -> None:
    assert "draining" in drawn(workers=[WORKER | {"state": "alive"}])


def test_an_empty_fleet_says_how_to_start_one() -> None:
    assert "argosy worker dispatch" in drawn(workers=[])


def test_more_workers_than_a_page_holds_are_said() -> None:
    assert "more workers than these 1" in drawn(next="cursor")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-1, "0.0s"), (0.44, "0.4s"), (59, "59s"), (119, "119s"), (120, "2m"), (7_200, "2h"), (172_800, "2d")],
)
def test_durations_are_short(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


@pytest.mark.parametrize(
    ("said", "error", "text"),
    [
        (problem(503, "store_unavailable", is_retryable=True), UnavailableError, "it is store_unavailable"),
        (Said(200, b"<html>"), CallerError, "no gateway of Argosy: 200"),
        (Said(200, b"[]"), CallerError, "no gateway of Argosy: 200"),
        (answer(404, no="detail"), CallerError, "no gateway of Argosy: 404"),
    ],
)
async def test_what_is_no_answer_is_one_line(said: Said, error: type[ArgosyError], text: str) -> None:
    async with Scripted() as gateway:
        gateway.will_say(said)

        with Client(gateway.url, retry_s=0) as client, pytest.raises(error, match=text):
            await asyncio.to_thread(read_fleet, client, gateway.url)

    assert [each.path for each in gateway.asked] == ["/v1/fleet?limit=200"]
