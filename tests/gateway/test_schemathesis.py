"""What a fuzzer of the OpenAPI document finds: nothing. Schemathesis, all of its checks, against a real fleet."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.conftest import open_folder
from tests.harness.fixtures import *  # noqa: F403
from tests.harness.fleet import Fleet
from tests.packaging.environments import make_environment

pytestmark = [pytest.mark.slow, pytest.mark.packages, pytest.mark.timeout(600)]

SCHEMATHESIS = "schemathesis==4.32.5"
EXCLUDED = {
    "get_session_events": "a stream has no end",
    "create_graph": "503: the fleet has no shard",
    # The fuzzer can neither make nor read NDJSON.
    "post_batch": "see test_batch.py",
    "ingest": "see test_ingest.py",
}
# tests/gateway/fuzzed.py knows better, operation by operation. An address with many bad credentials is answered 429:
# what is answered without one the test asks itself.
CONFIG = """
[checks]
positive_data_acceptance.enabled = false
ignored_auth.enabled = false

[[operations]]  # a tenant that was just made is not being deleted
include-operation-id = "get_deletion"
checks.ensure_resource_availability.enabled = false
"""
ADMIN = "an administrator's token of a deployment, long enough"
OPEN = {"ALLOW_TENANT_HEADER": "1"}
IDENTITY = {"KG_AUTH_REQUIRED": "1", "ARGOSY_ADMIN_TOKEN": ADMIN, "GATEWAY_READ_RATE_LIMIT": "0"}


@pytest.fixture(scope="module")
def schemathesis() -> Iterator[Path]:
    """In an environment of its own: what it needs shall not bound what we need."""
    with open_folder() as folder:
        yield make_environment(folder / "venv", SCHEMATHESIS) / "st"


@pytest.mark.parametrize(("log_name", "settings"), [("postgres", OPEN), ("postgres", IDENTITY)], ids=["open", "asked"])
def test_it_finds_nothing(fleet: Fleet, settings: dict[str, str], schemathesis: Path, tmp_path: Path) -> None:
    is_asked = "KG_AUTH_REQUIRED" in settings
    fleet.worker()
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    command: list[str | Path] = [
        schemathesis, "--config-file", config, "run", f"{fleet.url}/openapi.json",
        *(word for name in EXCLUDED for word in ("--exclude-operation-id", name)),
        "--max-time", "120", "--max-examples", "25", "--request-timeout", "20", "--no-color", "--continue-on-failure",
        *(["--header", f"Authorization: Bearer {ADMIN}"] if is_asked else []),
    ]  # fmt: skip

    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "SCHEMATHESIS_HOOKS": "fuzzed"}
    if is_asked:
        environment["FUZZED_TENANT"] = "default"

    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=400, check=False
    )

    sys.stdout.write(ended.stdout)  # shown when it fails
    assert ended.returncode == 0, ended.stderr
    paths = httpx2.get(f"{fleet.url}/openapi.json").json()["paths"]
    operations = [each["operationId"] for methods in paths.values() for each in methods.values()]
    assert f"Tested: {len(set(operations) - set(EXCLUDED))}" in ended.stdout
    if is_asked:
        assert set(without_a_token(fleet, paths).values()) == {401}


def without_a_token(fleet: Fleet, paths: dict[str, dict[str, Any]]) -> dict[tuple[str, str], int]:
    """How each operation that needs a token is answered without one."""
    asked = [
        (method, path) for path, methods in paths.items() for method, each in methods.items() if each["security"] != []
    ]
    return {
        (method, path): httpx2.request(method, fleet.url + re.sub(r"\{[^}]+\}", "x", path)).status_code
        for method, path in asked
    }
