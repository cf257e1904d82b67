"""`argosy up` is one process tree: kill -9 of its root leaves nothing behind and loses nothing."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.client import Client
from tests.harness.fleet import Fleet
from tests.harness.processes import Managed


@pytest.fixture
def log_name() -> str:
    return "postgres"


@pytest.fixture
def idle_fleet(folder: Path) -> Iterator[Fleet]:
    """Without a database of its own: `up` brings an embedded one."""
    fleet = Fleet(folder, "", "", AGENT_DISPATCH_BACKEND="inline")
    try:
        yield fleet
    finally:
        print(fleet.logs())
        fleet.stop()


@pytest.fixture
def earlier_start(folder: Path, make_cluster: Callable[[Path], None]) -> None:
    """`up` has run in the fleet's folder before."""
    make_cluster(folder / "data")


def _left_alive(process: Managed, within_s: float = 10.0) -> list[str]:
    """What still lives of a killed tree after a moment in which its children may notice."""
    deadline = time.monotonic() + within_s
    while (family := process.family()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return [f"{member.pid} {' '.join(member.cmdline())}" for member in family]


def _said(output: str) -> list[str]:
    """The lines of a process, without the name of its log."""
    return [line for line in output.splitlines() if line and not line.startswith("--- ")]


@pytest.mark.slow
async def test_up_killed_with_turns_running_and_suspended_goes_on_with_all_of_them(
    idle_fleet: Fleet, client: Client
) -> None:
    first = idle_fleet.up()
    running = [await client.post(f"running-{number}", "dawdles", effects=2, n=2, step_s=2) for number in range(100)]
    suspended = [await client.post(f"suspended-{number}", "waits", effects=2) for number in range(100)]
    await client.until_status(suspended, {"suspended"})

    first.kill()
    assert _left_alive(first) == []
    started_s = time.monotonic()
    await asyncio.to_thread(idle_fleet.up)
    took_s = time.monotonic() - started_s

    assert took_s < 10, f"the second start took {took_s:.1f} s"
    await client.until_status(suspended, {"suspended"})
    for turn in suspended:
        await client.signal(turn, "go", None)
    await client.until_status([*running, *suspended])
    await client.judge(disruptions=1)


@pytest.mark.slow
@pytest.mark.usefixtures("earlier_start")
async def test_up_ends_cleanly_when_it_is_told_to(idle_fleet: Fleet, client: Client) -> None:
    first = idle_fleet.up()
    turn = await client.post("session", "waits", effects=2)
    await client.until_status([turn], {"suspended"})

    assert first.terminate() in (0, -15)
    assert _left_alive(first) == []

    idle_fleet.up()
    await client.signal(turn, "go", None)
    await client.until_status([turn])
    await client.judge()


@pytest.mark.slow
async def test_up_kills_a_process_that_does_not_end_after_the_time_that_the_settings_say(idle_fleet: Fleet) -> None:
    up = idle_fleet.up(DRAIN_TIMEOUT_S="0", HANDOVER_S="0.1", DRAIN_WRITE_S="0.5", GATEWAY_STOP_S="2")
    (worker,) = [each for each in up.family() if {"worker", "dispatch"} <= set(each.cmdline())]
    worker.suspend()
    began_s = time.monotonic()

    code = await asyncio.to_thread(up.terminate, 35)

    assert code in (0, -15)
    assert 10 < time.monotonic() - began_s < 30  # 10.6 s, and what the others take; 620 s by default
    assert _left_alive(up) == []


@pytest.mark.usefixtures("earlier_start")
async def test_up_does_not_start_with_a_workflow_that_cannot_be_loaded(idle_fleet: Fleet) -> None:
    broken = idle_fleet.folder / "broken.py"
    broken.write_text("import no_such_module_at_all\n")

    code, output = await asyncio.to_thread(lambda: idle_fleet.run("up", "--workflows", str(broken)))

    assert code == 1
    (line,) = [line for line in output.splitlines() if "no_such_module_at_all" in line]
    assert line.startswith(f"argosy worker: {broken}: ModuleNotFoundError")
    assert "Traceback" not in output


@pytest.mark.usefixtures("earlier_start")
async def test_up_does_not_start_with_an_embedder_that_cannot_be_loaded(idle_fleet: Fleet) -> None:
    settings = {"EMBEDDER": "tests.harness.toy_embedder:none", "PORT": str(idle_fleet.port)}
    up = idle_fleet.start_process("up", ["up"], idle_fleet.port, settings)

    assert await asyncio.to_thread(up.wait_dead, 60) == 1
    said = [line for line in up.tail().splitlines() if "EMBEDDER cannot be loaded" in line]
    assert {line.split(": ", 1)[0] for line in said} <= {"argosy worker", "argosy gateway"}
    assert all("tests.harness.toy_embedder:none: AttributeError" in line for line in said)
    assert said


@pytest.mark.parametrize(("text", "why"), [(None, "there is no file "), ("def broken(:\n", "SyntaxError: ")])
async def test_up_starts_nothing_for_a_file_that_holds_no_workflows(
    idle_fleet: Fleet, text: str | None, why: str
) -> None:
    file = idle_fleet.folder / "shop.py"
    if text is not None:
        file.write_text(text)

    code, output = await asyncio.to_thread(lambda: idle_fleet.run("up", "--workflows", str(file)))

    assert code == 1
    (line,) = _said(output)
    assert line.startswith(f"argosy: {file}: {why}")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "No such file or directory"),
        ("{}\n", "line 1: must be an object with session, workflow and input"),
        ('{"session": ', "line 1: Expecting value"),
        ("\n", "there are no turns in it"),
    ],
)
async def test_up_starts_nothing_for_a_demonstration_that_has_no_turns(
    idle_fleet: Fleet, text: str | None, why: str
) -> None:
    demo = idle_fleet.folder / "turns.jsonl"
    if text is not None:
        demo.write_text(text)

    code, output = await asyncio.to_thread(lambda: idle_fleet.run("up", "--demo", str(demo), "--once"))

    assert code == 1
    (line,) = _said(output)
    assert line.startswith(f"argosy: {demo}")
    assert why in line


async def test_up_starts_nothing_for_an_address_that_others_can_reach(idle_fleet: Fleet) -> None:
    code, output = await asyncio.to_thread(lambda: idle_fleet.run("up", "--host", "0.0.0.0"))  # noqa: S104

    assert code == 1
    (line,) = _said(output)
    assert line.startswith("argosy: HOST=0.0.0.0 is not a loopback address")


@pytest.mark.usefixtures("earlier_start")
async def test_a_demonstration_shows_the_events_and_the_results_of_its_turns(idle_fleet: Fleet) -> None:
    demo = idle_fleet.folder / "turns.jsonl"
    demo.write_text(
        '{"session": "says", "workflow": "echo", "input": {"summary": "ä"}}\n\n'
        '{"session": "other one", "workflow": "echo", "input": [1]}\n'
    )

    code, output = await asyncio.to_thread(lambda: idle_fleet.run("up", "--demo", str(demo), "--once", "--port", "0"))

    said = _said(output)
    assert code == 0, output
    assert "posted 1 turn of turns.jsonl to 1 session" in said
    assert "posted 1 more turn of turns.jsonl to 1 session" in said
    for session, result in (("says", '"ä"'), ("other one", "[1]")):
        shown = [line.removeprefix(f"  {session:<16} ") for line in said if line.startswith(f"  {session:<16} ")]
        assert ", ".join(shown[:-1]) == "started, answer, completed"  # in more than one line when it took long
        assert shown[-1] == f"completed: {result}"
    assert said.index("results") < said.index("try next")


@pytest.mark.slow
@pytest.mark.usefixtures("earlier_start")
async def test_a_turn_of_a_demonstration_that_is_refused_is_one_line(idle_fleet: Fleet) -> None:
    demo = idle_fleet.folder / "turns.jsonl"
    demo.write_text('{"session": "says", "workflow": "nowhere"}\n')

    code, output = await asyncio.to_thread(lambda: idle_fleet.run("up", "--demo", str(demo), "--once", "--port", "0"))

    assert code == 1
    assert _said(output)[-1].startswith(
        'argosy: the gateway answered 422: {"type":"urn:argosy:problem:unknown_workflow"'
    )
