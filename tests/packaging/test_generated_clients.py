"""Clients that others generate from the OpenAPI document, against a real gateway and worker."""

import json
import shutil
import subprocess
import venv
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.conftest import need, open_folder
from tests.harness.fleet import Fleet

pytestmark = [pytest.mark.packages, pytest.mark.timeout(600), pytest.mark.parametrize("log_name", ["postgres"])]

PYTHON_CLIENT = "openapi-python-client==0.29.1"
PYTHON_PROGRAM = """
import sys, uuid
from client import Client
from client.api.sessions import list_sessions
from client.api.turns import get_turn, post_cancel, post_signal, post_turn
from client.models.problem import Problem
from client.models.problem_code import ProblemCode
from client.models.session_page import SessionPage
from client.models.turn import Turn
from client.models.turn_accepted import TurnAccepted
from client.models.turn_posted import TurnPosted
from client.models.turn_status import TurnStatus

client = Client(base_url=sys.argv[1])
posted = TurnPosted(workflow="echo", input_={"text": "hello"})
ended = post_turn.sync("a session", client=client, body=posted, prefer="wait=20", idempotency_key="one")
assert isinstance(ended, Turn), ended
assert ended.status == TurnStatus.COMPLETED
again = get_turn.sync(ended.turn_id, client=client)
assert isinstance(again, Turn)
assert again.result == {"text": "hello"}, again.result
late = post_signal.sync(again.turn_id, "reviewed", client=client, body=True)
assert isinstance(late, Problem), late
assert late.code == ProblemCode.TURN_ENDED
waiting = post_turn.sync("another", client=client, body=TurnPosted(workflow="echo", deadline_s=60))
assert isinstance(waiting, TurnAccepted), waiting
post_cancel.sync_detailed(waiting.turn_id, client=client)
page = list_sessions.sync(client=client)
assert isinstance(page, SessionPage)
assert {each.session for each in page.sessions} <= {"a session", "another"}
missing = get_turn.sync(uuid.uuid4(), client=client)
assert isinstance(missing, Problem)
assert missing.code == ProblemCode.TURN_NOT_FOUND
print("fine")
"""
NODE_PACKAGES = ("openapi-typescript@7.9.1", "openapi-fetch@0.14.0", "typescript@5.9.2")
TYPESCRIPT_PROGRAM = """
import createClient from "openapi-fetch";
import type { components, paths } from "./argosy.js";

declare const process: { argv: string[]; exit(code: number): never };
declare const console: { log(text: string): void; error(what: unknown): void };

const client = createClient<paths>({ baseUrl: process.argv[2] });

function ended(status: components["schemas"]["Turn"]["status"]): boolean {
  switch (status) {
    case "completed": case "failed": case "cancelled": case "expired":
    case "rejected": case "merged": case "duplicate": return true;
    case "accepted": case "queued": case "running": case "suspended": case "parked": return false;
    default: { const never: never = status; return never; }  // every status is named above
  }
}

async function main(): Promise<void> {
  const posted = await client.POST("/v1/sessions/{session}/turns", {
    params: { path: { session: "from node" }, header: { Prefer: "wait=20" } },
    body: { workflow: "echo", input: { text: "hello" } },
  });
  if (posted.data === undefined) throw posted.error;
  const turn = await client.GET("/v1/turns/{turn_id}", { params: { path: { turn_id: posted.data.turn_id } } });
  if (turn.data === undefined) throw turn.error;
  if (!ended(turn.data.status)) throw turn.data;
  const late = await client.POST("/v1/turns/{turn_id}/signals/{name}", {
    params: { path: { turn_id: posted.data.turn_id, name: "reviewed" } }, body: true,
  });
  if (late.error === undefined || late.error.code !== "turn_ended") throw late;
  console.log("fine");
}

main().catch((why: unknown) => { console.error(why); process.exit(1); });
"""


def run(*command: str | Path, cwd: Path) -> str:
    """What a command says. Raises AssertionError when it fails."""
    ended = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as path:
        yield path


@pytest.fixture
def url(fleet: Fleet) -> str:
    """Of a gateway with a worker behind it."""
    fleet.worker()
    return fleet.url


@pytest.fixture
def document(url: str, folder: Path) -> Path:
    path = folder / "openapi.json"
    path.write_text(json.dumps(httpx2.get(f"{url}/openapi.json").json()))
    return path


def test_a_python_client(document: Path, folder: Path, url: str) -> None:
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv/bin/python"
    run(python, "-m", "pip", "install", "--quiet", PYTHON_CLIENT, "mypy", cwd=folder)

    said = run(
        folder / "venv/bin/openapi-python-client", "generate", "--meta", "none",
        "--path", document, "--output-path", folder / "client", cwd=folder,
    )  # fmt: skip
    (folder / "program.py").write_text(PYTHON_PROGRAM)

    warnings = [line for line in said.splitlines() if line.startswith("WARNING")]
    assert warnings == ["WARNING parsing POST /v1/turns:batch within turns. Endpoint will not be generated."]
    assert "Unsupported content type application/x-ndjson" in said  # the generator knows no NDJSON
    run(python, "-m", "mypy", "program.py", cwd=folder)
    assert run(python, "program.py", url, cwd=folder) == "fine\n"


def test_a_typescript_client(document: Path, folder: Path, url: str) -> None:
    npm, node = shutil.which("npm"), shutil.which("node")
    need(npm and node, "Node.js with npm")
    assert npm
    assert node
    (folder / "package.json").write_text('{"type": "module", "private": true}')
    run(npm, "install", "--no-audit", "--no-fund", "--silent", *NODE_PACKAGES, cwd=folder)
    programs = folder / "node_modules/.bin"

    run(programs / "openapi-typescript", document, "--output", folder / "argosy.d.ts", cwd=folder)
    (folder / "program.ts").write_text(TYPESCRIPT_PROGRAM)
    options = [
        "--strict",
        "--target",
        "es2022",
        "--module",
        "nodenext",
        "--lib",
        "es2022,dom",
        "--skipLibCheck",
        "false",
    ]
    run(programs / "tsc", *options, "program.ts", cwd=folder)

    assert run(node, "program.js", url, cwd=folder) == "fine\n"
