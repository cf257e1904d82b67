"""A fleet in the caller's own process, as a script has it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import argosy
from argosy import Argosy, Client, Context, log_lines, workflow
from argosy.client import TurnFailedError
from argosy.errors import SettingError, UnavailableError, WorkflowError

FIVE_LINES = """
    import argosy, asyncio
    from tests.client.workflows import adds
    async def main():
        async with argosy.Argosy(workflows=[adds], data_dir={folder!r}) as here:
            print(await here.run(adds, [1, 2, 3]))
    asyncio.run(main())
"""

HELD = """
    import argosy, asyncio, os, sys
    @argosy.step
    async def note(text):
        with open({folder!r} + "/notes", "a") as file:
            file.write(text)
    @argosy.workflow
    async def journey(ctx, input):
        await ctx.run(note, "a")
        await ctx.wait_signal("go")
        await ctx.run(note, "b")
        return "done"
    async def main():
        async with argosy.Argosy(workflows=[journey], data_dir={folder!r}) as here:
            turn = await here.submit(journey, key="one", session="one")
            if sys.argv[1:] == ["die"]:
                while (await turn.get()).status != "suspended":
                    await asyncio.sleep(0.05)
                os.kill(os.getpid(), 9)
            await turn.signal("go")
            print(await turn.result(timeout_s=20))
    asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def unchanged_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it sets up would outlive the test."""
    monkeypatch.setattr(log_lines, "set_up_logging", lambda *_, **__: None)


@workflow
async def shouts(ctx: Context, text: str) -> str:
    if not text:
        raise ValueError("nothing to shout")
    return text.upper()


@workflow
async def says_whose(ctx: Context, _: None) -> Any:
    return ctx.principal and [ctx.principal.kind, ctx.principal.id, ctx.principal.tenant]


def run(script: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A script of a user, in a process of its own."""
    source = textwrap.dedent(script.format(folder=str(folder)))
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(
        [sys.executable, "-c", source, *arguments],
        capture_output=True, text=True, timeout=60, check=False, env=environment, cwd=folder,
    )  # fmt: skip


def left_in(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


def test_a_script_of_five_lines_runs_a_turn_and_ends(folder: Path) -> None:
    done = run(FIVE_LINES, folder)

    assert (done.returncode, done.stdout, done.stderr) == (0, "6\n", "")


@pytest.mark.slow
async def test_one_that_does_not_become_ready_says_so_and_leaves_nothing(folder: Path) -> None:
    with pytest.raises(UnavailableError, match=r"the worker is not ready after 0\.0001 s"):
        async with Argosy(workflows=[shouts], data_dir=folder, argosy_ready_s=0.0001):
            pass

    assert left_in(folder / "gateway") == []
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.slow
def test_what_a_killed_script_left_goes_on_when_it_is_run_again(folder: Path) -> None:
    killed = run(HELD, folder, "die")
    again = run(HELD, folder)

    assert killed.returncode == -signal.SIGKILL
    assert (again.returncode, again.stdout) == (0, "done\n"), again.stderr
    assert (folder / "notes").read_text() == "ab"


async def test_two_of_them_on_one_folder_are_one_clear_error(
    folder: Path, make_cluster: Callable[[Path], None]
) -> None:
    make_cluster(folder)
    async with Argosy(workflows=[shouts], data_dir=folder) as first:
        with pytest.raises(
            SettingError, match=rf"^another Argosy \(pid {os.getpid()}\) owns {folder}.*: stop it first$"
        ):
            async with Argosy(workflows=[shouts], data_dir=folder):
                pass

        assert await first.run(shouts, "still here") == "STILL HERE"
        told = [each.type async for each in first.stream(shouts, "live")]
        assert told == ["turn.started", "turn.completed"]
        with pytest.raises(TurnFailedError, match="nothing to shout"):
            await first.run(shouts, "")
        with Client(first.url) as client:  # another process of this user could ask, too
            assert await asyncio.to_thread(client.run, "shouts", "from outside") == "FROM OUTSIDE"

    async with Argosy(workflows=[shouts], data_dir=folder) as after:
        assert await after.run(shouts, "again") == "AGAIN"


async def test_a_workflow_that_is_none_is_said_before_anything_starts(folder: Path) -> None:
    for workflows in ([print], ["nowhere.py"]):
        with pytest.raises(WorkflowError, match=r"no workflow|no file"):
            async with Argosy(workflows=workflows, data_dir=folder):
                pass

    assert left_in(folder) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"state_db_uri": "postgresql://prod"}, "state_db_uri is not for the caller to set here"),
        ({"port": 9_001}, "port is not for the caller to set here"),
        ({"flush_wait": 5}, "flush_wait is not a setting of Argosy"),
        ({"flush_wait_ms": -1}, "FLUSH_WAIT_MS=-1"),
    ],
)
def test_a_setting_that_would_not_count_is_refused(settings: dict[str, Any], said: str, folder: Path) -> None:
    with pytest.raises(SettingError, match=said):
        Argosy(workflows=[shouts], data_dir=folder, **settings)

    assert left_in(folder) == []


def test_who_imports_argosy_gets_its_types() -> None:
    assert (Path(argosy.__file__).parent / "py.typed").is_file()


@pytest.mark.slow
async def test_it_is_no_part_of_the_fleet_that_the_environment_names_and_leaves_nothing_when_its_body_raises(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DB_URI", "postgresql://nobody@127.0.0.1:1/nowhere")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")

    async def run_and_raise() -> None:
        async with Argosy(workflows=[shouts, says_whose], data_dir=folder) as here:
            assert await here.run(shouts, "alone") == "ALONE"
            assert await here.run(says_whose, None) == ["local", "local", "default"]
            raise LookupError

    with pytest.raises(LookupError):
        await run_and_raise()

    assert left_in(folder / "gateway") == []
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_importing_argosy_brings_no_client_no_server_and_no_database() -> None:
    script = "import argosy, json, sys; print(json.dumps(sorted(sys.modules)))"

    loaded = json.loads(subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout)

    heavy = {"httpx2", "httpcore2", "asyncpg", "grpc", "confluent_kafka", "fastapi", "uvicorn", "pydantic", "typer"}
    assert heavy.isdisjoint(loaded)
