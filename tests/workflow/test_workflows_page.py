"""docs/workflows.md says what is so: what its examples come to, and what it says is refused. Its code: tests/docs/."""

import asyncio
import re
import socket
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from argosy import Context, StepFailedError
from argosy.check.checker import check
from argosy.check.finding import CODES
from argosy.errors import WorkflowError
from argosy.workflow.definition import workflow_of
from examples import booking, patterns, remembering, unsound
from tests.docs.page import ROOT, blocks
from tests.harness.memory_graphs import MemoryGraphs
from tests.harness.patterns import EXPECTED, STEADY
from tests.workflow.list_journal import ListJournal
from tests.workflow.running import run

PAGE = (ROOT / "docs" / "workflows.md").read_text()
SHOWN = "\n".join(block.text for block in blocks(ROOT / "docs" / "workflows.md") if block.language == "python")
EXAMPLES = {name: each for name, each in vars(patterns).items() if workflow_of(each) is not None}


def test_every_example_is_shown_but_those_that_show_bad_habits() -> None:
    assert {name for name in EXAMPLES if f"def {name}(ctx" not in SHOWN} == {"exits", "patient"}


def test_every_example_is_run_on_real_fleets() -> None:
    assert EXAMPLES.keys() <= EXPECTED.keys()


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name in STEADY and name != "exits"])
async def test_an_example_comes_to_what_is_expected_from_any_part_of_its_history(name: str) -> None:
    expected = EXPECTED[name].result

    async def run_from(rows: list[Any]) -> ListJournal:
        journal = ListJournal(rows, attempt=2 if rows else 1)
        if not any(kind == "wait.completed" and "signal:go" in key for _, _, kind, key, _ in rows):
            journal.signals = {"go": ["go"]}
        result = await run(EXAMPLES[name], None, journal)
        assert expected(result) if callable(expected) else result == expected
        return journal

    whole = await run_from([])
    await asyncio.gather(*(run_from(whole.rows[:cut]) for cut in range(1, len(whole.rows))))


async def test_a_session_remembers_what_it_was_told_before() -> None:
    graphs = MemoryGraphs()

    async def say(said: str, number: int) -> Any:
        journal = ListJournal()
        journal.shards, journal.turn_id = graphs, uuid.UUID(int=number)
        return await run(remembering.remembering, said, journal)

    assert await say("ada likes tea", 1) == "I know nothing of it yet"
    assert "ada -LIKES-> tea" in await say("ada likes cake", 2)


async def test_a_ticket_is_claimed_once() -> None:
    graphs = MemoryGraphs()

    async def claim(session: str, number: int) -> Any:
        journal = ListJournal()
        journal.shards, journal.turn_id, journal.session = graphs, uuid.UUID(int=number), session
        return await run(remembering.claiming, "t-1", journal)

    assert await claim("ann", 1) == "it is mine"
    assert await claim("bob", 2) == "ann has it"


async def test_a_booking_that_is_confirmed_gives_nothing_back() -> None:
    journal = ListJournal()
    journal.signals = {"confirmed": ["yes"]}

    assert await run(booking.booking, None, journal) == "yes"
    assert ("step.completed", "give_back") not in journal.outcomes()


async def _opens_a_connection(ctx: Context) -> None:
    await asyncio.open_connection("127.0.0.1", 9)


async def _resolves_a_name(ctx: Context) -> None:
    await asyncio.get_running_loop().getaddrinfo("localhost", 80)


async def _starts_a_process(ctx: Context) -> None:
    await asyncio.create_subprocess_exec("true")


async def _watches_a_socket(ctx: Context) -> None:
    with socket.socket() as plug:
        asyncio.get_running_loop().add_reader(plug, print)


async def _calls_in_a_thread(ctx: Context) -> None:
    await asyncio.to_thread(print)


async def _waits_for_what_nobody_does(ctx: Context) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    "flow",
    [
        _opens_a_connection,
        _resolves_a_name,
        _starts_a_process,
        _watches_a_socket,
        _calls_in_a_thread,
        _waits_for_what_nobody_does,
    ],
)
async def test_what_needs_more_than_the_loop_of_a_turn_has_is_refused_and_told_where_it_belongs(
    flow: Callable[..., Any],
) -> None:
    with pytest.raises(WorkflowError, match="in a step"):
        await run(flow)


async def test_a_loop_that_awaits_nothing_durable_fails_its_turn() -> None:
    async def flow(ctx: Context) -> None:
        while True:  # noqa: ASYNC110 — that is what is refused
            await asyncio.sleep(0)

    with pytest.raises(WorkflowError, match=r"never comes to rest.*WORKFLOW_CALLBACKS_MAX=1000000"):
        await run(flow)


async def test_ctx_is_refused_in_a_step() -> None:
    async def flow(ctx: Context) -> None:
        async def asks() -> None:
            await ctx.sleep(1)

        await ctx.run(asks)

    with pytest.raises(StepFailedError, match="inside a step") as failed:
        await run(flow)

    assert failed.value.error_type == "WorkflowError"


def test_the_example_that_is_to_be_sound_has_no_findings() -> None:
    report = check(["examples/unsound.py"], ROOT)

    assert {finding.workflow for finding in report.findings} == {"unsound"}
    assert check(["examples/patterns.py", "examples/booking.py"], ROOT).findings == []


def test_every_code_of_the_check_is_told() -> None:
    assert dict(re.findall(r"^\| `([a-z-]+)` \| (.*) \|$", PAGE, re.MULTILINE)) == CODES


async def test_the_example_that_is_sound_replays() -> None:
    journal = ListJournal()
    found = await run(unsound.sound, ["Ada", "Bob"], journal)

    assert found == ["Ada was found", "Bob was found"]
    assert await run(unsound.sound, ["Ada", "Bob"], ListJournal(journal.rows, attempt=2)) == found
