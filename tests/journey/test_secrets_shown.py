"""No secret of a fleet is in what its processes say, nor in what others see of them, whatever goes wrong at debug."""

import json
import secrets
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from argosy import config
from argosy.local.postgres import EmbeddedPostgres
from tests.conftest import open_folder
from tests.harness.fixtures import prepared
from tests.harness.fleet import Fleet
from tests.harness.processes import free_port
from tests.shards.processes import ShardProcess

pytestmark = pytest.mark.slow

# What is asked, with which token and body: most of it goes wrong.
ASKED = [
    ("GET", "/readyz", ""), ("GET", "/metrics", ""), ("GET", "/openapi.json", ""), ("GET", "/v1/whoami", ""),
    ("GET", "/v1/fleet", ""), ("GET", "/v1/fleet/leaders", ""), ("GET", "/v1/fleet/shards", ""),
    ("GET", "/v1/audit", ""),
    ("GET", "/v1/tokens", ""), ("GET", "/v1/turns/nothing", ""), ("POST", "/v1/sessions/s/turns", "{"),
    ("POST", "/v1/sessions/s/turns", '{"workflow": "stumbles", "input": {}}'), ("GET", "/v1/sessions?cursor=x", ""),
    ("POST", "/v1/tenants", '{"name": "acme"}'), ("POST", "/v1/tokens", '{"name": "shop", "tenant": "acme"}'),
    ("GET", "/v1/graphs", ""), ("GET", "/nowhere", ""),
]  # fmt: skip


class Canaries:
    """A value of its own for every secret that settings know, each in a file."""

    def __init__(self, folder: Path, dsn: str) -> None:
        folder.mkdir()
        names = set(config.secret_names()) - {"kg_auth_token"}  # another name of argosy_token
        self.values = {name: secrets.token_hex(32) for name in names}
        self.password = dsn.partition("://argosy:")[2].partition("@")[0]
        self.values["state_db_uri"] = dsn
        self.settings = {}
        for name, value in self.values.items():
            (folder / name).write_text(value)
            self.settings[f"{name}_file".upper()] = str(folder / name)

    def shown_in(self, text: str) -> list[str]:
        values = {**self.values, "password": self.password}
        return [name for name, value in values.items() if value in text or quote(value, safe="") in text]


@pytest.fixture
def dsn() -> Iterator[str]:
    with open_folder() as path, EmbeddedPostgres(path, tcp_port=free_port()) as server:
        yield server.tcp_dsn


def answer(url: str, method: str, path: str, body: str, token: str, tenant: str = "") -> str:
    """The head and body of an answer."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    if tenant:
        headers["X-Argosy-Tenant"] = tenant
    request = urllib.request.Request(url + path, body.encode() or None, headers, method=method)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=20) as answered:  # noqa: S310
            return f"{answered.headers}{answered.read().decode()}"
    except urllib.error.HTTPError as error:
        return f"{error.headers}{error.read().decode()}"


def command_lines() -> str:
    """The command lines of every process of the machine, as everybody sees them."""
    lines = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(each.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:  # it has ended
            continue
    return "\n".join(lines)


def test_no_secret_is_shown_anywhere(dsn: str, tmp_path: Path) -> None:
    canaries = Canaries(tmp_path / "secrets", dsn)
    secret = canaries.settings["GRAPH_SERVICE_AUTH_SECRET_FILE"]
    shard = ShardProcess(tmp_path / "shard", GRAPH_SERVICE_AUTH_SECRET_FILE=secret, LOG_LEVEL="debug")
    shard.start()
    fleet = Fleet(
        tmp_path / "fleet", dsn, "", LOG_LEVEL="debug", KG_AUTH_REQUIRED="1", GRAPH_SERVICE_ENDPOINTS=shard.endpoint
    )
    with prepared(fleet):
        for name in ("STATE_DB_URI", "GRAPH_SERVICE_AUTH_SECRET"):
            del fleet.environment[name]
        fleet.environment |= canaries.settings
        # What ends at once, in as many ways, and commands: what they print goes to logs like everything else.
        wrong = {"STATE_DB_URI": dsn.replace(f":{canaries.password}@", f":{canaries.values['argosy_token']}@")}
        away = {"STATE_DB_URI": dsn.replace("@127.0.0.1:", "@127.0.0.2:")}  # nobody listens there
        short = {"GRAPH_SERVICE_AUTH_SECRET": "canary-short"}
        for settings in (wrong, away, short):
            given = {f"{name}_FILE": "" for name in settings} | settings
            for arguments in (["gateway"], ["worker", "dispatch"], ["migrate", "--check"]):
                expected = 0 if settings is short and "migrate" in arguments else 1  # which has no use for that secret
                assert fleet.start_process("refused", arguments, 0, given).wait_dead(30) == expected
        fleet.start(1)
        fleet.begin_ingest_worker().wait_ready()
        port = free_port()
        maintain = fleet.start_process("maintain", ["maintain"], port, {"METRICS_PORT": str(port)}, "METRICS_HOST")
        maintain.wait_ready()

        admin, stranger = canaries.values["argosy_admin_token"], canaries.values["argosy_token"]
        answers = [answer(fleet.url, *asked, token) for asked in ASKED for token in (admin, stranger)]
        posted = '{"name": "shop", "role": "user"}'
        made = json.loads(answer(fleet.url, "POST", "/v1/tokens", posted, admin, "acme").partition("\n\n")[2])
        answers.append(answer(f"http://127.0.0.1:{port}", "GET", "/metrics", "", admin))
        for arguments in (["shards", "list"], ["tokens", "list"], ["whoami", "--url", fleet.url], ["backups", "list"]):
            fleet.start_process("command", arguments, 0, {}).wait_dead(30)
        bundle, ready = fleet.folder / "bundle.tar.gz", sorted(each.log for each in fleet.processes)
        asked = [
            "--part-s=60",
            f"--metrics=http://127.0.0.1:{port}",
            f"--url={fleet.url}",
            *(f"--log={each}" for each in ready),
        ]
        admins = {"ARGOSY_TOKEN_FILE": canaries.settings["ARGOSY_ADMIN_TOKEN_FILE"]}
        assert fleet.start_process("bundle", ["support-bundle", str(bundle), *asked], 0, admins).wait_dead(90) == 0
        seen = command_lines()
        logs = "".join(each.log.read_text(errors="replace") for each in fleet.processes)
        logs += (shard.folder / "shard.log").read_text(errors="replace")

    shard.bury()
    with tarfile.open(bundle) as archive:
        found = {each.name: file.read().decode() for each in archive if (file := archive.extractfile(each)) is not None}
    bundled = "".join(found.values())
    failed = {line.split()[0] for line in found["argosy-support/MANIFEST"].splitlines() if " failed: " in line}
    assert failed == {"kafka.json", "slowest.json"}  # this fleet has neither
    assert "gateway.started" in bundled
    assert all(each in logs for each in ("gateway.started", "worker.started", "maintenance.started", "shard.started"))
    assert len(answers) > 2 * len(ASKED)
    assert "argosy_turns" in "".join(answers)
    for what, text in (("logs", logs), ("answers", "".join(answers)), ("command lines", seen), ("bundle", bundled)):
        assert canaries.shown_in(text) == [], what
        assert "canary-short" not in text, what
    assert made["token"] not in logs + seen + bundled
