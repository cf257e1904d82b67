"""What a fuzzer of the OpenAPI document finds: nothing. Schemathesis, all of its checks, against a real fleet."""

import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import open_folder
from tests.harness.fixtures import *  # noqa: F403
from tests.harness.fleet import Fleet

pytestmark = [pytest.mark.slow, pytest.mark.packages, pytest.mark.timeout(600)]

SCHEMATHESIS = "schemathesis==4.32.5"
# What a schema cannot say: which cursors a list gave out (400), which workflows there are (422), who operates (403).
CONFIG = """
[checks]
positive_data_acceptance.expected-statuses = ["2xx", 400, 403, 404, 409, 422, 429]
"""


@pytest.fixture(scope="module")
def schemathesis() -> Iterator[Path]:
    """In an environment of its own: what it needs shall not bound what we need."""
    with open_folder() as folder:
        venv.create(folder / "venv", with_pip=True)
        python = folder / "venv/bin/python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", SCHEMATHESIS], check=True, timeout=300)
        yield python.parent / "st"


@pytest.mark.parametrize(("log_name", "settings"), [("postgres", {"ALLOW_TENANT_HEADER": "1"})])
def test_it_finds_nothing(fleet: Fleet, schemathesis: Path, tmp_path: Path) -> None:
    fleet.worker()
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    command = [
        schemathesis, "--config-file", config, "run", f"{fleet.url}/openapi.json",
        "--exclude-path-regex", "/events$",  # streams have no end
        # Bodies of NDJSON it can neither make nor read: tests/gateway/test_batch.py has those.
        "--exclude-operation-id", "post_batch",
        "--max-time", "120", "--max-examples", "25", "--request-timeout", "20", "--no-color", "--continue-on-failure",
    ]  # fmt: skip

    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=400, check=False)

    sys.stdout.write(ended.stdout)  # shown when it fails
    assert ended.returncode == 0, ended.stderr
    assert "Tested: 17" in ended.stdout
