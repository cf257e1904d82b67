"""The wheel that users install: what it holds, what it runs with, and what it installs beside."""

import os
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import open_folder
from tests.harness.processes import ROOT

pytestmark = [pytest.mark.packages, pytest.mark.timeout(600)]

UV = Path(sys.executable).parent / "uv"
AUTHORED = """
import argosy

@argosy.step
async def double(n): return 2 * n

@argosy.workflow
async def doubles(ctx, n): return await ctx.run(double, n)

argosy.Client("http://127.0.0.1:1").close()
print("fine")
"""


def run(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {"PATH": os.environ["PATH"], "HOME": str(cwd), **environment}
    return subprocess.run(command, cwd=cwd, env=given, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def wheel() -> Iterator[Path]:
    with open_folder() as folder:
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
        subprocess.run(command, check=True, timeout=300)
        yield next(folder.glob("argosy-*.whl"))


@pytest.fixture(scope="module")
def bare(wheel: Path) -> Iterator[Path]:
    """The bin folder of an environment with the wheel and no extra."""
    with open_folder() as folder:
        venv.create(folder / "venv", with_pip=True)
        python = folder / "venv/bin/python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", str(wheel)], check=True, timeout=300)
        yield python.parent


def test_everything_in_it_is_below_argosy(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    assert {name.split("/")[0].split("-")[0] for name in names} == {"argosy"}
    for needed in ("gateway/main.py", "workers/dispatch/main.py", "store/functions/flush.sql", "rpc/watch_pb2.py"):
        assert f"argosy/{needed}" in names


def test_without_extras_workflows_can_be_written_and_gateways_asked(bare: Path, tmp_path: Path) -> None:
    assert run(str(bare / "python"), "-c", AUTHORED, cwd=tmp_path).stdout == "fine\n"
    asked = run(str(bare / "argosy"), "turn", "get", "x", "--url", "http://127.0.0.1:1", cwd=tmp_path)
    assert (asked.returncode, asked.stderr.startswith("argosy: no gateway answers")) == (1, True), asked.stderr


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        ("gateway", "server"),
        ("worker dispatch", "server"),
        ("maintain", "server"),
        ("migrate", "server"),
        ("topics", "server"),
        ("up", "server"),
    ],
)
def test_what_an_extra_brings_is_named_in_one_line(bare: Path, tmp_path: Path, command: str, extra: str) -> None:
    ended = run(str(bare / "argosy"), *command.split(), cwd=tmp_path, STATE_DB_URI="postgresql://h/d")

    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert f"pip install 'argosy[{extra}]'" in ended.stderr


def test_a_fleet_in_process_names_its_extra(bare: Path, tmp_path: Path) -> None:
    ended = run(str(bare / "python"), "-c", "import argosy; argosy.Argosy", cwd=tmp_path)

    assert "SettingError: this needs argosy[server]" in ended.stderr


def ranges() -> list[str]:
    """What the distribution and its extras ask for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *extras["server"], *extras["embedded"], *extras["kafka"]]
    return [each for each in asked if not each.startswith("argosy[")]


@pytest.mark.parametrize(
    "framework", ["google-adk", "strands-agents", "crewai", "langgraph-api", "openai-agents", "pydantic-ai", "mcp"]
)
def test_it_installs_beside_a_framework_of_agents(framework: str, tmp_path: Path) -> None:
    (tmp_path / "both.in").write_text("\n".join([*ranges(), framework]) + "\n")

    command = [str(UV), "pip", "compile", "--quiet", "--python-version", "3.11", "both.in"]
    resolved = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)

    assert resolved.returncode == 0, resolved.stderr
    assert f"{framework}==" in resolved.stdout


def test_every_range_begins_where_the_lowest_run_does_and_ends_at_a_major() -> None:
    lowest = dict(
        line.split(";")[0].strip().split("==")
        for line in (ROOT / "constraints-lowest.txt").read_text().splitlines()
        if "==" in line
    )

    for asked in ranges():
        name, bounds = asked.split(";")[0].strip().split(">=")
        low, high = bounds.split(",<")
        assert [int(part) for part in lowest[name].split(".")][:2] == [int(part) for part in low.split(".")][:2], asked
        assert high.isdecimal(), asked
