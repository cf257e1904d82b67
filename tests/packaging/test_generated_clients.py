"""Clients that others generate from the OpenAPI document, against a real gateway and worker."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.conftest import need, open_folder
from tests.harness.fleet import Fleet
from tests.packaging.environments import make_environment

pytestmark = [pytest.mark.packages, pytest.mark.timeout(600), pytest.mark.parametrize("log_name", ["postgres"])]

PYTHON_CLIENT = "openapi-python-client==0.29.1"
# Each line that mypy must refuse says so: --strict complains when it does not.
PYTHON_PROGRAM = """
import sys, uuid
from client import AuthenticatedClient
from client.api.sessions import list_sessions
from client.api.turns import get_turn, post_cancel, post_signal, post_turn
from client.models.problem import Problem
from client.models.problem_code import ProblemCode
from client.models.sent import Sent
from client.models.session_page import SessionPage
from client.models.turn import Turn
from client.models.turn_accepted import TurnAccepted
from client.models.turn_posted import TurnPosted
from client.models.turn_posted_on_busy import TurnPostedOnBusy
from client.models.turn_status import TurnStatus

client = AuthenticatedClient(base_url=sys.argv[1], token=sys.argv[2])
posted = TurnPosted(workflow="echo", input_={"text": "hello"}, on_busy=TurnPostedOnBusy.REJECT, priority=7)
ended = post_turn.sync("a session", client=client, body=posted, prefer="wait=20", idempotency_key="one")
assert isinstance(ended, Turn), ended
assert ended.status == TurnStatus.COMPLETED
again = get_turn.sync(ended.turn_id, client=client)
assert isinstance(again, Turn)
assert (again.turn_id, again.priority, again.result) == (ended.turn_id, 7, {"text": "hello"}), again
assert again.ended_at and again.ended_at >= again.accepted_at
late = post_signal.sync(again.turn_id, "reviewed", client=client, body=True)
assert isinstance(late, Problem), late
assert late.code == ProblemCode.TURN_ENDED

waiting = post_turn.sync("another", client=client, body=TurnPosted(workflow="naps", input_={"sleep_s": 3600}))
assert isinstance(waiting, TurnAccepted), waiting
cancelled = post_cancel.sync(waiting.turn_id, client=client)
assert isinstance(cancelled, Sent), cancelled
assert (cancelled.turn_id, type(cancelled.cancel_id)) == (waiting.turn_id, uuid.UUID), cancelled
gone = get_turn.sync(waiting.turn_id, client=client, wait=20)
assert isinstance(gone, Turn)
assert gone.status == TurnStatus.CANCELLED, gone

first = list_sessions.sync(client=client, limit=1)
assert isinstance(first, SessionPage)
assert first.next_
second = list_sessions.sync(client=client, limit=1, cursor=first.next_)
assert isinstance(second, SessionPage)
assert not second.next_
assert [each.session for each in (*first.sessions, *second.sessions)] == ["another", "a session"]
missing = get_turn.sync(uuid.uuid4(), client=client)
assert isinstance(missing, Problem)
assert (missing.status, missing.code) == (404, ProblemCode.TURN_NOT_FOUND)
print("fine")


def refused() -> None:
    TurnPosted()  # type: ignore[call-arg]
    TurnPosted(workflow="echo", on_busy="now")  # type: ignore[arg-type]
    TurnPosted(workflow="echo", priority=0.5)  # type: ignore[arg-type]
    get_turn.sync("no id", client=client)  # type: ignore[arg-type]
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
    body: { workflow: "echo", input: { text: "hello" }, on_busy: "reject", priority: 7 },
  });
  if (posted.data === undefined) throw posted.error;
  if (posted.response.status !== 200 || !("result" in posted.data)) throw posted.data;
  const turn = await client.GET("/v1/turns/{turn_id}", { params: { path: { turn_id: posted.data.turn_id } } });
  if (turn.data === undefined) throw turn.error;
  if (!ended(turn.data.status) || JSON.stringify(turn.data.result) !== '{"text":"hello"}') throw turn.data;
  const late = await client.POST("/v1/turns/{turn_id}/signals/{name}", {
    params: { path: { turn_id: posted.data.turn_id, name: "reviewed" } }, body: true,
  });
  if (late.error === undefined || late.error.code !== "turn_ended") throw late;
  const page = await client.GET("/v1/sessions/{session}/turns", { params: { path: { session: "from node" } } });
  if (page.data === undefined || page.data.next !== null) throw page;
  if (page.data.turns.map((each) => each.turn_id).join() !== posted.data.turn_id) throw page.data;
  console.log("fine");
}

// Never called: each line that the compiler must refuse says so, and the compiler complains when it does not.
export async function refused(): Promise<void> {
  const params = { path: { session: "s" } };
  // @ts-expect-error there is no turn without a workflow
  await client.POST("/v1/sessions/{session}/turns", { params, body: { input: 1 } });
  // @ts-expect-error no such word
  await client.POST("/v1/sessions/{session}/turns", { params, body: { workflow: "echo", on_busy: "now" } });
  // @ts-expect-error no such status
  await client.GET("/v1/sessions/{session}/turns", { params: { ...params, query: { status: "done" } } });
  // @ts-expect-error no such address
  await client.GET("/v1/turn/{turn_id}", { params: { path: { turn_id: "" } } });
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
    python = make_environment(folder / "venv", PYTHON_CLIENT, "mypy") / "python"

    said = run(
        folder / "venv/bin/openapi-python-client", "generate", "--meta", "none",
        "--path", document, "--output-path", folder / "client", cwd=folder,
    )  # fmt: skip
    (folder / "program.py").write_text(PYTHON_PROGRAM)

    warnings = {line for line in said.splitlines() if line.startswith("WARNING")}
    assert warnings == {
        "WARNING parsing POST /v1/graphs/{graph}/ingest within ingest.",  # as a list it can be
        "WARNING parsing POST /v1/turns:batch within turns. Endpoint will not be generated.",
    }
    assert "Unsupported content type application/x-ndjson" in said  # the generator knows no NDJSON
    run(python, "-m", "mypy", "--strict", "program.py", cwd=folder)
    made = httpx2.post(f"{url}/v1/tokens", json={"name": "generated", "role": "tenant"})
    assert made.status_code == 201, made.text
    assert run(python, "program.py", url, made.json()["token"], cwd=folder) == "fine\n"


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
