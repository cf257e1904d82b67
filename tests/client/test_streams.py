"""Streams of real turns, over gateways and workers that die meanwhile."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from argosy import AsyncClient, Client
from argosy.client import Assembler, Event, Frame, StreamEvent
from tests.client import workflows
from tests.client.workflows import WORDS
from tests.harness.fleet import Fleet
from tests.harness.processes import ARGOSY, Managed, free_port
from tests.harness.terminal import in_terminal

pytestmark = pytest.mark.parametrize("log_name", ["postgres"])

STORY = "".join(WORDS)
WITHIN_S = 40.0


@pytest.fixture
def settings() -> dict[str, str]:
    return {"ARGOSY_WORKFLOWS": str(Path(workflows.__file__))}


def two_gateways(fleet: Fleet) -> tuple[Managed, list[str]]:
    """The first of them, and both addresses."""
    port = free_port()
    first, second = fleet.begin_gateway(), fleet.begin_gateway(PORT=str(port))
    for each in (first, second):
        each.wait_ready()
    return first, [fleet.url, f"http://127.0.0.1:{port}"]


class Seen:
    """What a client saw, and what it had on its screen after each event."""

    def __init__(self) -> None:
        self.events: list[StreamEvent] = []
        self.assembler = Assembler()

    async def follow(self, events: AsyncIterator[StreamEvent]) -> AsyncIterator[str]:
        """The text so far, after each event."""
        async with asyncio.timeout(WITHIN_S):
            async for event in events:
                self.events.append(event)
                self.assembler.take(event)
                yield self.assembler.text("story")

    @property
    def durable(self) -> list[Event]:
        return [each for each in self.events if isinstance(each, Event)]

    @property
    def types(self) -> list[str]:
        return [each.type for each in self.durable]

    def is_whole(self) -> bool:
        """Numbered 1..n, once each, and the text that was recorded."""
        numbers = [each.seq for each in self.durable]
        return numbers == list(range(1, len(numbers) + 1)) and self.assembler.text("story") == STORY


@pytest.mark.slow
async def test_a_stream_goes_on_at_the_other_gateway_when_its_own_is_killed(idle_fleet: Fleet) -> None:
    idle_fleet.begin_worker()
    gateway, urls = two_gateways(idle_fleet)
    seen, seen_before = Seen(), 0
    async with AsyncClient(*urls) as client:
        async for text in seen.follow(client.stream("tells", 0.15)):
            if not seen_before and text.startswith("Once upon"):
                gateway.kill()
                seen_before = len(seen.events)

    assert seen.is_whole()
    assert seen.types == ["turn.started", "step.completed", "turn.completed"]
    texts = "".join(each.text for each in seen.events if isinstance(each, Frame) and isinstance(each.text, str))
    assert texts == STORY, "each word once: the stream went on exactly where it broke"


@pytest.mark.slow
async def test_what_a_killed_worker_had_said_is_voided_and_said_again(idle_fleet: Fleet) -> None:
    idle_fleet.begin_gateway()
    workers = idle_fleet.workers(2)
    idle_fleet.processes[0].wait_ready()
    seen, shown, is_killed = Seen(), [], False
    async with AsyncClient(idle_fleet.url) as client:
        async for text in seen.follow(client.stream("tells", 0.15)):
            shown.append(text)
            if text.startswith("Once upon") and not is_killed:
                next(each for each in workers if each.metric("argosy_turns_running")).kill()
                is_killed = True

    assert seen.is_whole()
    assert seen.types == ["turn.started", "turn.reset", "step.completed", "turn.completed"]
    reset = next(index for index, each in enumerate(seen.events) if each.type == "turn.reset")
    assert (shown[reset - 1].startswith("Once upon"), shown[reset]) == (True, "")


async def test_a_session_is_told_turn_after_turn_and_may_be_joined_anywhere(idle_fleet: Fleet) -> None:
    idle_fleet.start()
    async with AsyncClient(idle_fleet.url) as client:
        for number in range(3):
            await client.run("adds", [number], session="sums")

        async def ids(count: int, *, after: str = "", skip_ended: bool = False) -> list[str]:
            found: list[str] = []
            async with (
                asyncio.timeout(WITHIN_S),
                aclosing(client.session_events("sums", after=after, skip_ended=skip_ended)) as events,
            ):
                while len(found) < count:
                    found.append((await anext(events)).id)
            return found

        every = await ids(6)
        assert await ids(3, after=every[2]) == every[3:]

        asking = await client.submit("asks", session="sums")
        assert set(await ids(2, skip_ended=True)).isdisjoint(every)
        await asking.cancel()


@pytest.mark.slow
async def test_a_turn_is_watched_by_command_to_its_end(idle_fleet: Fleet) -> None:
    idle_fleet.start()
    with Client(idle_fleet.url) as client:
        told, failed = client.submit("tells", 0.05), client.submit("fails", "why not")

    code, output = await asyncio.to_thread(idle_fleet.run, "turn", "watch", told.turn_id, "--url", idle_fleet.url)
    failed_code, failed_output = await asyncio.to_thread(
        idle_fleet.run, "turn", "watch", failed.turn_id, "--url", idle_fleet.url
    )

    lines = output.splitlines()
    assert (code, lines[-1]) == (0, json.dumps(STORY)), output
    assert [" ".join(line.split()[2:4]) for line in lines if " turn." in line] == ["turn.started", "turn.completed"]
    said, kind, where = failed_output.splitlines()[-3:]
    assert (failed_code, "LookupError: why not" in said, kind) == (1, True, "LookupError: why not"), failed_output
    assert where.endswith("in fails: raise LookupError(why)")
    assert "Traceback" not in output + failed_output


@pytest.mark.slow
async def test_a_turn_is_drawn_in_a_terminal_and_goes_on_when_nobody_looks_any_more(
    idle_fleet: Fleet, tmp_path: Path
) -> None:
    idle_fleet.start()
    with Client(idle_fleet.url) as client:
        turn = client.submit("tells_and_holds", str(tmp_path / "go"))  # it cannot end before somebody has looked

        command = [str(ARGOSY), "turn", "watch", turn.turn_id, "--url", idle_fleet.url]
        code, shown = await asyncio.to_thread(in_terminal, command, idle_fleet.environment, until="Once", times=1)

        assert (code, "Traceback" in shown) == (130, False), shown
        assert "story (write)" in shown
        (tmp_path / "go").touch()
        assert turn.result(timeout_s=WITHIN_S) == STORY
