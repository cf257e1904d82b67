"""From nothing to a tenant's turns where tokens are required, by the command line alone; and where no token is seen."""

import contextlib
import json
import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from argosy import Client
from argosy.client import ForbiddenError, UnauthenticatedError
from argosy.identity.api_token import is_token
from tests.harness.fleet import Fleet
from tests.harness.processes import ARGOSY, Managed


@pytest.fixture
def log_name() -> str:
    return "postgres"


@pytest.fixture
def settings() -> dict[str, str]:
    return {"KG_AUTH_REQUIRED": "1", "LOG_LEVEL": "debug"}


@pytest.fixture
def up_alone(folder: Path, make_cluster: Callable[[Path], None]) -> Iterator[Fleet]:
    """Without a database: `up` brings one."""
    make_cluster(folder / "data")
    fleet = Fleet(folder, "", "", AGENT_DISPATCH_BACKEND="inline", KG_AUTH_REQUIRED="1", LOG_LEVEL="debug")
    try:
        yield fleet
    finally:
        print(fleet.logs())
        fleet.stop()


def command(fleet: Fleet, *arguments: str, given: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ARGOSY, *arguments],
        env={**fleet.environment, **settings},
        cwd=fleet.folder,
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def succeeded(fleet: Fleet, *arguments: str, given: str = "", **settings: str) -> str:
    """What a command printed."""
    ended = command(fleet, *arguments, given=given, **settings)
    assert ended.returncode == 0, (arguments, ended.stdout, ended.stderr)
    return ended.stdout


def asked(fleet: Fleet, *arguments: str, given: str = "", **settings: str) -> Any:
    """What a command that asks the gateway was answered."""
    return json.loads(succeeded(fleet, *arguments, "--url", fleet.url, given=given, **settings))


def seen_by_others(processes: list[psutil.Process]) -> str:
    """What everybody on the machine sees of processes, and what their own user does."""
    seen = []
    for each in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            seen += [*each.cmdline(), *each.environ().values()]
    return "\n".join(seen)


def said(fleet: Fleet) -> str:
    """Everything that the fleet's processes have printed."""
    return "\n".join(each.log.read_text(errors="replace") for each in fleet.processes)


def test_the_way_in_leads_to_turns_of_a_tenant_and_a_revocation_ends_them(fleet: Fleet) -> None:
    fleet.start()
    with Client(fleet.url) as nobody, pytest.raises(UnauthenticatedError):
        nobody.run("echo", 1)

    admin = succeeded(fleet, "tokens", "create", "first", "--admin").strip()
    assert is_token(admin)
    assert asked(fleet, "login", given=admin)["role"] == "admin"
    asked(fleet, "tenants", "create", "acme")
    limits = asked(fleet, "tenants", "limits", "acme", "--turns-per-s", "50", "--streams", "9")["limits"]
    fewer = asked(fleet, "tenants", "limits", "acme", "--default", "streams")["limits"]
    made = asked(fleet, "tokens", "create", "shop", "--tenant", "acme", "--role", "user", "--days", "1")

    with Client(fleet.url, token=made["token"]) as shop:
        assert shop.run("echo", "hello", timeout_s=30) == "hello"
        assert shop.request("GET", "/v1/whoami")["tenant"] == "acme"
        with pytest.raises(ForbiddenError) as raised:
            shop.request("GET", "/v1/fleet")
        assert raised.value.problem["scope"] == "fleet:read"

    assert (limits, fewer) == ({"turns_per_s": 50.0, "streams": 9}, {"turns_per_s": 50.0})
    assert [each["name"] for each in asked(fleet, "tokens", "list", "--tenant", "acme")["tokens"]] == ["shop"]
    successor = asked(fleet, "tokens", "rotate", made["token_id"], "--tenant", "acme", "--overlap", "0")
    asked(fleet, "tokens", "revoke", successor["token_id"], "--tenant", "acme")
    for token in (made["token"], successor["token"]):
        with Client(fleet.url, token=token) as shop, pytest.raises(UnauthenticatedError):
            shop.request("GET", "/v1/whoami")  # the gateway that ends a token knows it at once
    (line,) = succeeded(fleet, "audit", "--limit", "1", "--tenant", "acme", "--url", fleet.url).splitlines()
    asked(fleet, "tenants", "suspend", "acme")
    assert asked(fleet, "whoami")["role"] == "admin"
    told = [json.loads(each) for each in succeeded(fleet, "audit", "--json", "--url", fleet.url).splitlines()]
    assert {"token.create", "tenant.create", "token.rotate", "token.revoke", "tenant.suspend"} <= {
        each["action"] for each in told
    }
    assert "  token " in line
    assert "tenant acme" in line

    tokens = (admin, made["token"], successor["token"])
    seen = said(fleet) + seen_by_others([each for process in fleet.processes for each in process.family()])
    assert [token[:12] for token in tokens if token in seen] == []
    succeeded(fleet, "logout", "--url", fleet.url)
    ended = command(fleet, "whoami", "--url", fleet.url)
    assert (ended.returncode, json.loads(ended.stdout)["code"]) == (1, "unauthenticated")


def test_up_makes_the_first_token_and_asks_its_own_gateway(up_alone: Fleet) -> None:
    turns = up_alone.folder / "turns.jsonl"
    turns.write_text(json.dumps({"session": "demo", "workflow": "echo", "input": "hello"}) + "\n")

    first = up_alone.up("--demo", str(turns))
    first.wait_said("serving")
    file = up_alone.folder / "data" / "admin-token"
    token = file.read_text().strip()

    assert is_token(token)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert str(file) in first.log.read_text().replace("\n", "")
    assert 'completed: "hello"' in first.log.read_text()
    assert asked(up_alone, "whoami", ARGOSY_TOKEN_FILE=str(file))["role"] == "admin"
    _not_shown(up_alone, first, token)
    assert first.terminate() == 0

    second = up_alone.up()
    assert file.read_text().strip() == token
    assert "a token for an administrator" not in second.log.read_text()
    assert asked(up_alone, "whoami", ARGOSY_TOKEN_FILE=str(file))["role"] == "admin"

    # The way back in, also while `up` has the database.
    file.unlink()
    again = succeeded(up_alone, "tokens", "create", "again", "--admin").strip()
    assert asked(up_alone, "whoami", ARGOSY_TOKEN=again)["role"] == "admin"


def _not_shown(fleet: Fleet, up: Managed, token: str) -> None:
    own = (fleet.folder / "data" / "up-token").read_text().strip()
    seen = said(fleet) + seen_by_others(up.family())
    assert is_token(own)
    assert [each[:12] for each in (token, own) if each in seen] == []


@pytest.mark.slow
def test_up_with_an_administrators_token_of_its_user_makes_none(up_alone: Fleet) -> None:
    secret = os.urandom(32).hex()
    (up_alone.folder / "secret").write_text(f"{secret}\n")

    up_alone.up(ARGOSY_ADMIN_TOKEN_FILE=str(up_alone.folder / "secret"))

    assert not (up_alone.folder / "data" / "admin-token").exists()
    assert asked(up_alone, "whoami", ARGOSY_TOKEN=secret)["role"] == "admin"
    assert secret not in said(up_alone)
