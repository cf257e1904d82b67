"""What others' linters say of deploy/: nothing."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.deploy.compose_file import DEPLOY
from tests.deploy.rules_files import ROOT

BIN: Final = Path(sys.executable).parent
DOCKERFILE: Final = (DEPLOY / "Dockerfile").read_text()


def _run(*command: str | Path) -> str:
    """Return what a program complains of: nothing when it ends with 0."""
    result = subprocess.run([str(each) for each in command], capture_output=True, text=True, check=False, timeout=60)
    return "" if result.returncode == 0 else result.stdout + result.stderr


def _of_debian(program: str, package: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"there is no {program}: install Debian's package {package}")
    return found


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    assert _run(BIN / "hadolint", "--failure-threshold", "style", DEPLOY / "Dockerfile") == ""


def test_yamllint_finds_nothing() -> None:
    assert _run(BIN / "yamllint", "--strict", "--config-file", DEPLOY / ".yamllint", DEPLOY) == ""


def test_the_compose_file_is_one_by_its_schema() -> None:
    schema = ("--builtin-schema", "vendor.compose-spec")
    assert _run(BIN / "check-jsonschema", *schema, DEPLOY / "compose.yaml") == ""


def test_caddy_takes_its_file() -> None:
    caddy = _of_debian("caddy", "caddy")
    assert _run(caddy, "validate", "--adapter", "caddyfile", "--config", DEPLOY / "caddy" / "Caddyfile") == ""


def test_alertmanager_takes_its_file() -> None:
    amtool = _of_debian("amtool", "prometheus-alertmanager")
    assert _run(amtool, "check-config", DEPLOY / "alertmanager" / "alertmanager.yml") == ""


def test_the_image_runs_as_a_number_starts_without_a_shell_and_has_no_health_check() -> None:
    instructions = re.findall(r"^([A-Z]+) (.*)$", DOCKERFILE, re.MULTILINE)
    last = dict(instructions)

    assert last["USER"] == "10001:10001"
    assert last["ENTRYPOINT"] == '["argosy"]'
    assert "HEALTHCHECK" not in last
    assert not re.search(r"/python3?(\.\d+)? (?!install)-", DOCKERFILE.replace("/opt/argosy/bin/python3", ""))


def test_what_the_image_is_built_of_is_let_through_and_secrets_are_not() -> None:
    copied = {
        source for line in re.findall(r"^COPY (?!--)(.*)$", DOCKERFILE, re.MULTILINE) for source in line.split()[:-1]
    }
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    let_through = {line.removeprefix("!") for line in ignored if line.startswith("!")}

    assert "*" in ignored
    assert copied == let_through
    assert all((ROOT / each).exists() for each in copied)
