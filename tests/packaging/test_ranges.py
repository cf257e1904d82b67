"""The ranges of versions that Argosy asks for: what they install beside, and that tests run at both of their ends."""

import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.harness.processes import ROOT
from tests.packaging.environments import UV

pytestmark = [pytest.mark.packages, pytest.mark.timeout(600)]


def ranges(*more_extras: str) -> list[str]:
    """What the distribution and the extras that it runs with ask for, and more extras by their names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *extras["server"], *extras["embedded"], *extras["kafka"]]
    asked += [each for extra in more_extras for each in extras[extra]]
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


def versions(lock: str) -> dict[str, list[int]]:
    """The versions in a lock file of the repository."""
    lines = [line.split(";")[0].strip() for line in (ROOT / lock).read_text().splitlines() if "==" in line]
    return {name: numbers(version) for name, version in (line.split("==") for line in lines)}


def numbers(version: str) -> list[int]:
    """A version as three numbers, without its epoch."""
    found = [int(part) for part in version.rpartition("!")[2].split(".")[:3]]
    return found + [0] * (3 - len(found))


def test_every_range_begins_where_the_lowest_run_does_and_ends_at_the_major_after_the_other_run() -> None:
    lowest, newest = versions("constraints-lowest.txt"), versions("constraints.txt")

    for asked in ranges("docs"):
        name, bounds = asked.split(";")[0].strip().split(">=")
        name, (low, high) = name.partition("[")[0].lower(), bounds.split(",<")
        assert (lowest[name], newest[name][0] + 1) == (numbers(low), int(high)), asked
