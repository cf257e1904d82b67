"""Argosy inside a project whose folders are called like ours."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.processes import ARGOSY, free_port

FLOWS = """
from argosy import workflow
from workers.tools import shout

@workflow
async def shouts(ctx, text):
    return shout(text)
"""
IN_PROCESS = """
import asyncio, sys
import argosy
from workers.flows import shouts

async def main():
    async with argosy.Argosy(workflows=[shouts], data_dir=sys.argv[1]) as here:
        print(await here.run(shouts, "hey", timeout_s=30))

asyncio.run(main())
"""


@pytest.fixture
def project(folder: Path) -> Path:
    """A folder with packages `workers`, `gateway` and `proto`, and modules that are named like those of libraries."""
    folder.chmod(0o755)
    for package in ("workers", "gateway", "proto", "shards"):
        (folder / package).mkdir()
        (folder / package / "__init__.py").write_text("")
    for module in ("main", "queue", "signing", "uvicorn"):
        (folder / f"{module}.py").write_text("raise ImportError('a module of the project was taken for another')\n")
    (folder / "gateway" / "app.py").write_text("raise ImportError('the gateway of the project')\n")
    (folder / "workers" / "tools.py").write_text("def shout(text):\n    return text.upper()\n")
    (folder / "workers" / "flows.py").write_text(FLOWS)
    (folder / "turns.jsonl").write_text(json.dumps({"session": "s", "workflow": "shouts", "input": "hey"}) + "\n")
    return folder


def run(project: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(project), "PORT": str(free_port()),
        "ARGOSY_DATA_DIR": str(project / "data"),
    }  # fmt: skip
    return subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize(
    ("start", "workflows"),
    [
        ((str(ARGOSY),), "workers/flows.py"),
        ((sys.executable, "-P", "-m", "argosy"), "workers.flows"),
        pytest.param((str(ARGOSY),), "workers.flows", marks=pytest.mark.slow),
        pytest.param((sys.executable, "-P", "-m", "argosy"), "workers/flows.py", marks=pytest.mark.slow),
    ],
    ids=["argosy-file", "python -m-module", "argosy-module", "python -m-file"],
)
def test_up_runs_the_workflows_of_such_a_project(project: Path, start: tuple[str, ...], workflows: str) -> None:
    (project / "workers" / "flows.py").write_text(
        FLOWS.replace("workers.tools", "tools") if "/" in workflows else FLOWS
    )

    ended = run(project, *start, "up", "--workflows", workflows, "--demo", "turns.jsonl", "--once")

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "HEY" in ended.stdout


def test_a_program_of_such_a_project_brings_its_own_fleet(project: Path) -> None:
    (project / "uvicorn.py").unlink()  # a program's own folder comes first, as Python has it
    (project / "queue.py").unlink()

    ended = run(project, sys.executable, "-c", IN_PROCESS, str(project / "data"))

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "HEY\n"
