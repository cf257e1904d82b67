"""Which token commands send, where it is stored, and that nobody else sees it: on a server that a test scripts."""

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from argosy.cli.app import app
from argosy.cli.credentials import Credentials, address_of
from argosy.errors import CallerError, SettingError
from argosy.identity.api_token import TokenKind, mint
from tests.client.scripted import TURN, Scripted, answer, event, problem, stream, turn

TOKEN, OTHER = mint(TokenKind.TENANT), mint(TokenKind.TENANT)
PRINCIPAL = answer(200, kind="token", tenant="acme", role="user", scopes=["turns:read"])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this user's config.json would be. Nothing else of the environment names a token."""
    for name in ("ARGOSY_TOKEN", "ARGOSY_TOKEN_FILE", "ARGOSY_TOKEN_ALLOW_HTTP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ARGOSY_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "config"


@pytest.fixture
async def gateway() -> AsyncIterator[Scripted]:
    async with Scripted() as scripted:
        yield scripted


@pytest.fixture
async def other_gateway() -> AsyncIterator[Scripted]:
    async with Scripted() as scripted:
        yield scripted


async def run(*arguments: str, given: str | None = None) -> Result:
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, list(arguments), input=given))


async def login(gateway: Scripted, token: str = TOKEN) -> Result:
    gateway.will_say(PRINCIPAL)
    return await run("login", "--url", gateway.url, given=f"{token}\n")


def modes(folder: Path) -> list[int]:
    """Of the files in a folder that may not be there."""
    return [stat.S_IMODE(each.stat().st_mode) for each in folder.glob("*")]


def presented(gateway: Scripted) -> list[str | None]:
    return [each.headers.get("authorization") for each in gateway.asked]


async def test_a_login_asks_the_gateway_and_stores_the_token_for_this_user_alone(
    gateway: Scripted, folder: Path
) -> None:
    ended = await login(gateway)

    assert ended.exit_code == 0, ended.output
    assert json.loads(ended.stdout)["tenant"] == "acme"
    assert [(each.method, each.path) for each in gateway.asked] == [("GET", "/v1/whoami")]
    assert presented(gateway) == [f"Bearer {TOKEN}"]
    assert TOKEN not in ended.output
    assert modes(folder) == [0o600]


async def test_a_token_that_is_refused_is_not_stored(gateway: Scripted, folder: Path) -> None:
    gateway.will_say(problem(401, "invalid_token"))

    ended = await run("login", "--url", gateway.url, given=f"{TOKEN}\n")

    assert ended.exit_code == 1
    assert "invalid_token" in str(ended.exception)
    assert TOKEN not in str(ended.exception)
    assert modes(folder) == []


async def test_no_token_is_no_login(gateway: Scripted) -> None:
    ended = await run("login", "--url", gateway.url, given="\n")

    assert isinstance(ended.exception, SettingError)
    assert gateway.asked == []


COMMANDS = [
    ["turn", "get", TURN],
    ["turn", "submit", "s", "echo"],
    ["turn", "cancel", TURN],
    ["turn", "resume", TURN],
    ["turn", "resume", "--all"],
    ["turn", "signal", TURN, "go"],
    ["turn", "watch", TURN],
    ["graph", "jobs", "notes"],
    ["graph", "job", TURN],
    ["graph", "cancel-ingest", TURN],
    ["forget", "session", "s", "--again", "s"],
    ["forget", "turn", TURN, "--again", TURN],
    ["forget", "graph", "g", "--again", "g"],
    ["forget", "tenant", "acme", "--again", "acme"],
    ["forget", "list"],
    ["forget", "receipt", TURN],
    ["fleet", "--once"],
    ["whoami"],
    ["tokens", "create", "mine", "--role", "user"],
    ["tokens", "list"],
    ["tokens", "revoke", TURN],
    ["tokens", "rotate", TURN],
    ["tokens", "revoke-subject", "bob"],
    ["tenants", "list"],
    ["tenants", "create", "acme"],
    ["tenants", "suspend", "acme"],
    ["tenants", "activate", "acme"],
    ["tenants", "limits", "acme", "--streams", "5"],
    ["tenants", "delete", "acme", "--again", "acme"],
    ["audit"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
async def test_every_command_that_asks_a_gateway_sends_the_stored_token(command: list[str], gateway: Scripted) -> None:
    await login(gateway)
    gateway.asked.clear()
    gateway.will_say(problem(403, "insufficient_scope"))

    ended = await run(*command, "--url", gateway.url)

    assert ended.exit_code == 1
    assert gateway.asked
    assert set(presented(gateway)) == {f"Bearer {TOKEN}"}
    assert TOKEN not in ended.output + str(ended.exception)


async def test_an_upload_sends_it_too(gateway: Scripted, tmp_path: Path) -> None:
    (tmp_path / "n.ndjson").write_text('{"op": "upsert_node", "id": "n"}\n')
    await login(gateway)
    gateway.asked.clear()
    gateway.will_say(problem(403, "insufficient_scope"))

    ended = await run("graph", "ingest", "notes", "n.ndjson", "--url", gateway.url)

    assert ended.exit_code == 1
    assert set(presented(gateway)) == {f"Bearer {TOKEN}"}


def test_every_command_with_an_address_is_in_this_table() -> None:
    """A new one that asks a gateway belongs there."""
    from typer.main import get_command

    found: set[str] = set()

    def walk(command: Any, path: tuple[str, ...]) -> None:
        for name, each in getattr(command, "commands", {}).items():
            walk(each, (*path, name))
        if any("--url" in option.opts for option in command.params):
            found.add(" ".join(path))

    walk(get_command(app), ())

    known = {
        " ".join(each[:2] if each[0] in {"turn", "graph", "forget", "tokens", "tenants"} else each[:1])
        for each in COMMANDS
    }
    assert found == known | {"login", "logout", "graph ingest", "support-bundle"}


async def test_the_setting_comes_before_what_is_stored(
    gateway: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await login(gateway)
    gateway.will_say(PRINCIPAL)
    (tmp_path / "token").write_text(f"{OTHER}\n")
    monkeypatch.setenv("ARGOSY_TOKEN_FILE", str(tmp_path / "token"))

    assert (await run("whoami", "--url", gateway.url)).exit_code == 0
    monkeypatch.delenv("ARGOSY_TOKEN_FILE")
    monkeypatch.setenv("ARGOSY_TOKEN", OTHER)
    assert (await run("whoami", "--url", gateway.url)).exit_code == 0

    assert presented(gateway) == [f"Bearer {TOKEN}", f"Bearer {OTHER}", f"Bearer {OTHER}"]


async def test_a_token_goes_to_no_other_gateway_than_its_own(gateway: Scripted, other_gateway: Scripted) -> None:
    await login(gateway)
    other_gateway.will_say(PRINCIPAL)

    assert (await run("whoami", "--url", other_gateway.url)).exit_code == 0
    assert presented(other_gateway) == [None]

    ended = await run("turn", "watch", TURN, "--url", gateway.url, "--url", other_gateway.url)
    assert isinstance(ended.exception, SettingError)
    assert "not the same token" in str(ended.exception)
    assert len(other_gateway.asked) == 1


async def test_gateways_with_the_same_token_are_asked_together(gateway: Scripted, other_gateway: Scripted) -> None:
    await login(gateway)
    await login(other_gateway)
    gateway.will_say(turn("completed"), stream(event("1-1", "turn.completed", 1)), turn("completed"))

    ended = await run("turn", "watch", TURN, "--url", gateway.url, "--url", other_gateway.url)

    assert ended.exit_code == 0, ended.output
    assert set(presented(gateway)) == {f"Bearer {TOKEN}"}


async def test_a_logout_forgets_the_token_of_this_gateway_alone(gateway: Scripted, other_gateway: Scripted) -> None:
    await login(gateway)
    await login(other_gateway, OTHER)

    assert (await run("logout", "--url", gateway.url)).exit_code == 0
    assert isinstance((await run("logout", "--url", gateway.url)).exception, SettingError)

    for each in (gateway, other_gateway):
        each.will_say(PRINCIPAL)
        await run("whoami", "--url", each.url)
    assert (presented(gateway)[-1], presented(other_gateway)[-1]) == (None, f"Bearer {OTHER}")


@pytest.mark.parametrize(("code", "advice"), [("unauthenticated", "ARGOSY_TOKEN"), ("invalid_token", "argosy logout")])
async def test_who_is_not_let_in_is_told_how_to_log_in(code: str, advice: str, gateway: Scripted) -> None:
    gateway.will_say(problem(401, code))

    ended = await run("turn", "get", TURN, "--url", gateway.url)

    assert ended.exit_code == 1
    assert json.loads(ended.stdout)["code"] == code
    assert f"argosy login --url {gateway.url}" in ended.stderr
    assert advice in ended.stderr


async def test_a_token_is_not_sent_in_clear_text_unless_the_network_is_said_to_be_trusted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ARGOSY_TOKEN", TOKEN)
    url = "http://gateway.invalid:9000"

    ended = await run("whoami", "--url", url)
    assert isinstance(ended.exception, CallerError)
    assert "ARGOSY_TOKEN_ALLOW_HTTP=1" in str(ended.exception)

    monkeypatch.setenv("ARGOSY_TOKEN_ALLOW_HTTP", "1")
    ended = await run("whoami", "--url", url)
    assert "no gateway answers" in str(ended.exception)


def test_no_command_takes_a_token_as_an_option() -> None:
    from typer.main import get_command

    def options(command: Any) -> list[str]:
        inner = [each for child in getattr(command, "commands", {}).values() for each in options(child)]
        return [*inner, *(name for option in command.params for name in option.opts)]

    assert [each for each in options(get_command(app)) if each in {"--token", "--bearer", "--secret"}] == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_can_read_or_write_is_not_used(mode: int, folder: Path) -> None:
    credentials = Credentials(folder)
    credentials.store("http://127.0.0.1:9000", TOKEN)
    credentials.path.chmod(mode)

    with pytest.raises(SettingError, match="others can read it") as raised:
        credentials.token("http://127.0.0.1:9000")

    assert TOKEN not in str(raised.value)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"tokens": []}', '{"tokens": 1}', "{}", '\xff{"tokens": {}}'])
def test_a_file_of_somebody_elses_is_said_to_be_one(content: str, folder: Path) -> None:
    folder.mkdir()
    credentials = Credentials(folder)
    credentials.path.write_text(content)
    credentials.path.chmod(0o600)

    with pytest.raises(SettingError, match="is not what `argosy login` writes"):
        credentials.token("http://127.0.0.1:9000")


def test_a_user_without_a_home_has_no_stored_token() -> None:
    assert Credentials(None).token("http://127.0.0.1:9000") == ""
    with pytest.raises(SettingError, match="ARGOSY_TOKEN_FILE"):
        Credentials(None).store("http://127.0.0.1:9000", TOKEN)


@pytest.mark.parametrize(
    ("url", "other", "is_same"),
    [
        ("http://h", "HTTP://H:80/", True),
        ("https://h", "https://h:443", True),
        ("http://h", "https://h", False),
        ("http://h", "http://h:8080", False),
        ("http://[::1]:9000", "http://[::1]:9000/", True),
        ("http://h/a", "http://h/b", False),
        ("https://h", "https://h.example", False),
        ("unix:/a", "unix:/b", False),
    ],
)
def test_addresses_are_the_same_but_for_what_may_be_left_out(url: str, other: str, is_same: bool) -> None:
    assert (address_of(url) == address_of(other)) is is_same
