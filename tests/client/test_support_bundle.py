"""`argosy support-bundle`: what is in it, what never is, and that one part that fails costs only itself."""

import asyncio
import json
import secrets
import stat
import tarfile
import threading
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final

import pytest
from typer.testing import CliRunner, Result

from argosy.cli.app import app
from argosy.clock import SystemClock
from argosy.config import secret_names
from argosy.errors import SettingError
from argosy.identity.api_token import TokenKind, mint
from argosy.store import support
from argosy.support.bundle import FOLDER, Bounds, Reader, make
from argosy.support.redaction import MARK, Redaction
from tests.client.scripted import Said, Scripted, answer

PAYLOAD: Final = "a-customers-medical-history"
SAID: Final = {"timestamp": "2026-01-01T00:00:00Z", "level": "warning", "event": "step.failed", "turn_id": "0123"}
BOUNDS: Final = Bounds(20.0, 1_048_576)


@pytest.fixture
async def gateway() -> AsyncIterator[Scripted]:
    async with Scripted() as scripted:
        yield scripted


@pytest.fixture(autouse=True)
def secret_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """One for each secret that settings know, in a file; and a data folder without anything."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARGOSY_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("ARGOSY_DATA_DIR", str(tmp_path / "data"))
    values = {name: secrets.token_hex(32) for name in secret_names()}
    values["argosy_token"] = values["kg_auth_token"] = mint(TokenKind.TENANT)
    values["state_db_uri"] = f"postgresql://argosy:{secrets.token_hex(16)}@127.0.0.2:1/none"
    for name, value in values.items():
        monkeypatch.delenv(name.upper(), raising=False)
        (tmp_path / name).write_text(value)
        monkeypatch.setenv(f"{name.upper()}_FILE", str(tmp_path / name))
    return values


async def run(*arguments: str) -> Result:
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, ["support-bundle", *arguments]))


def opened(path: Path) -> dict[str, str]:
    """What is in a bundle, by name."""
    with tarfile.open(path) as archive:
        return {
            each.name.removeprefix(f"{FOLDER}/"): found.read().decode()
            for each in archive.getmembers()
            if (found := archive.extractfile(each)) is not None
        }


def said_of(files: Mapping[str, str], name: str) -> str:
    """What the MANIFEST says of a part."""
    (line,) = (each for each in files["MANIFEST"].splitlines() if each.split()[0] == name)
    return line.split(maxsplit=1)[1]


async def test_it_has_settings_versions_the_fleet_metrics_and_events_and_neither_secrets_nor_payloads(
    gateway: Scripted, secret_values: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANDOVER_S", "7")
    password = secret_values["state_db_uri"].partition("argosy:")[2].partition("@")[0]
    lines = [
        json.dumps(SAID | {"error": f"refused: {PAYLOAD}", "attempts": 3, "address": f"h {password}"}),
        f"2026-01-01T00:00:01.5Z [warning  ] store.unavailable              error='{PAYLOAD}' loop=accept",
        json.dumps(SAID | {"event": PAYLOAD}),
        f"a line of user code with {PAYLOAD}",
    ]
    (tmp_path / "worker.log").write_text("\n".join(lines))
    gateway.will_say(answer(200, workers=[{"worker_id": "w", "note": secret_values["argosy_admin_token"]}]))

    ended = await run("b.tar.gz", "--url", gateway.url, "--metrics", gateway.url, "--log", "worker.log")

    assert ended.exit_code == 0, ended.output
    assert stat.S_IMODE((tmp_path / "b.tar.gz").stat().st_mode) == 0o600
    files = opened(tmp_path / "b.tar.gz")
    everything = "".join(files.values()) + ended.output
    assert [name for name, value in secret_values.items() if value in everything] == []
    assert password not in everything
    assert PAYLOAD not in everything
    found = json.loads(files["settings.json"])["settings"]
    assert found["HANDOVER_S"] == {"value": "7", "from": "the environment"}
    assert found["LOG_LEVEL"] == {"value": "info", "from": "default"}
    assert found["KAFKA_SASL_PASSWORD"] == {"value": "set in a file", "from": "the environment"}
    assert json.loads(files["versions.json"])["dependencies"]["asyncpg"]
    assert json.loads(files["fleet/workers.json"]) == {"workers": [{"worker_id": "w", "note": MARK.decode()}]}
    assert '"workers"' in files[f"metrics/1-{gateway.url.partition('//')[2].replace(':', '-')}.txt"]
    events = [json.loads(line) for line in files["logs/1-worker.log.jsonl"].splitlines()]
    assert events == [
        SAID | {"attempts": 3, "address": f"h {MARK.decode()}"},
        {"timestamp": "2026-01-01T00:00:01.5Z", "level": "warning", "event": "store.unavailable"},
    ]
    tokens = {each.headers.get("authorization") for each in gateway.asked if each.path != "/metrics"}
    assert tokens == {f"Bearer {secret_values['argosy_token']}"}
    assert {each.headers.get("authorization") for each in gateway.asked if each.path == "/metrics"} == {None}


async def test_what_cannot_be_had_is_a_line_of_its_manifest(gateway: Scripted, tmp_path: Path) -> None:
    gateway.will_say(Said(503, b"away"))

    ended = await run("b.tar.gz", "--url", gateway.url, "--metrics", "http://127.0.0.1:1", "--log", "nothing.log")

    assert ended.exit_code == 0, ended.output
    files = opened(tmp_path / "b.tar.gz")
    assert set(files) == {"MANIFEST", "settings.json", "versions.json"}
    reasons = {
        "postgres.json": "StoreUnavailableError",
        "plans.txt": "StoreUnavailableError",
        "kafka.json": "there are no brokers",
        "fleet/workers.json": "503",
        "metrics/1-127.0.0.1-1.txt": "does not answer",
        "logs/1-nothing.log.jsonl": "No such file",
    }
    for name, reason in reasons.items():
        assert said_of(files, name).startswith("failed: "), name
        assert reason in said_of(files, name), name
        assert f"{name}: failed" in ended.stderr
    assert said_of(files, "versions.json").startswith("whole: ")


async def test_settings_with_which_nothing_starts_are_told_and_no_reason_to_fail(
    gateway: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARGOSY_NO_SUCH_NAME", "1")
    gateway.will_say(answer(200))

    ended = await run("b.tar.gz", "--url", gateway.url)

    assert ended.exit_code == 0, ended.output
    files = opened(tmp_path / "b.tar.gz")
    assert "ARGOSY_NO_SUCH_NAME" in files["MANIFEST"]
    assert "ARGOSY_NO_SUCH_NAME" in json.loads(files["settings.json"])["fault"]


async def test_a_file_that_is_there_is_not_replaced(gateway: Scripted, tmp_path: Path) -> None:
    (tmp_path / "b.tar.gz").write_text("mine")
    gateway.will_say(answer(200))

    ended = await run("b.tar.gz", "--url", gateway.url)

    assert isinstance(ended.exception, SettingError)
    assert (tmp_path / "b.tar.gz").read_text() == "mine"


def test_a_part_that_is_late_and_one_that_is_large_cost_only_themselves() -> None:
    release = threading.Event()
    parts: dict[str, Reader] = {
        "late": lambda: b"never" if release.wait() else b"",
        "large": lambda: b"x" * 2_000,
        "broken": lambda: bytes(int("a secret-of-mine")),
        "small": lambda: b"y",
    }

    late, large, broken, small = make(parts, Bounds(0.2, 1_024), Redaction(["secret-of-mine"]), SystemClock())

    release.set()
    assert (late.content, late.said) == (None, "failed: not made within 0.2 s (SUPPORT_PART_S)")
    assert large.content == b"x" * 1_024
    assert large.said == "cut: 1024 of 2000 bytes (SUPPORT_PART_SIZE_BYTES_MAX)"
    assert broken.content is None
    assert "ValueError" in broken.said
    assert "secret-of-mine" not in broken.said
    assert small.content == b"y"


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ("s3cret/and+more", "a s3cret/and+more b"),
        ("s3cret/and+more", "a s3cret%2Fand%2Bmore b"),
        ("one:AAAAAAAAAAAAAAAAAAAAAAAA,two:BBBBBBBBBBBBBBBBBBBBBBBB", "a BBBBBBBBBBBBBBBBBBBBBBBB b"),
        ("postgresql://u:p%40ssword@h/d", "a p@ssword b"),
    ],
)
def test_a_secret_is_found_however_it_is_written(secret: str, text: str) -> None:
    assert Redaction([secret]).apply(text.encode()) == b"a " + MARK + b" b"


def test_a_login_in_an_address_is_one_too() -> None:
    assert Redaction([]).apply(b"http://me:word@proxy:1/x") == b"http://" + MARK + b"@proxy:1/x"


async def test_postgres_tells_its_version_the_schemas_and_plans_and_runs_nothing(any_database: str) -> None:
    told = await support.server(any_database)

    assert told["version"].startswith("PostgreSQL")
    assert told["missing"] == []
    assert told["schema"][:4].isdigit()
    assert "turns" in {each["name"] for each in told["tables"]}
    plans = await support.plans(any_database)
    assert plans.count("== ") > 150
    assert plans.count("(no plan: ") < 40
    assert "Index Scan using" in plans
    assert plans.count("One-Time Filter: false") < 5  # with values that are taken to be NULL most would have it
    assert await support.slowest(any_database) is None
