"""Every operation of the API, asked with every kind of credential: who gets what, and that nobody else does.

An operation that is not in OPERATIONS fails the first test. What is said of each is held against what its route
declares, and against what a gateway answers: a real app, on a real Postgres, log and shard.
"""

import asyncio
import contextlib
import itertools
import json
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import asyncpg
import httpx2
import pytest
from fastapi import FastAPI
from starlette.types import Message

from argosy.config import Settings
from argosy.gateway.access import accesses
from argosy.gateway.app import create_app
from argosy.gateway.routes.erasures import erasure_of_tenant
from argosy.identity.api_token import TokenKind, digest, hint, mint
from argosy.identity.errors import TenantExistsError
from argosy.identity.scopes import OF_TENANTS, Role, Scope
from argosy.identity.tenant import TenantState
from argosy.store.audit import Act
from argosy.store.identity import Identities, NewToken
from argosy.store.pool import open_pool
from tests.gateway.conformance import Document
from tests.gateway.graph_shard import shard_served
from tests.gateway.rows import Rows
from tests.harness.same_tag import same_tag

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
NODE: Final = {"op": "upsert_node", "id": "ada", "label": "Person"}
MARK: Final = f"secret-{uuid.uuid4().hex}"  # in everything that the owner has


class Op(NamedTuple):
    """An operation. scope: that it needs; None: any good credential will do. missing: the code with which one is
    answered who asks for what is another tenant's; empty: it shows and changes what the asker has. is_open: nobody is
    asked. is_of_installation: of no tenant. is_endless: a stream that goes on until somebody ends it.
    """

    scope: Scope | None
    missing: str = ""
    body: Any = None
    query: str = ""
    media_type: str = JSON
    is_open: bool = False
    is_of_installation: bool = False
    is_endless: bool = False


TURN, SESSION, GRAPH, JOB = "turn_not_found", "session_not_found", "graph_not_found", "job_not_found"
TOKEN = "token_not_found"
OPERATIONS: Final[dict[tuple[str, str], Op]] = {
    ("GET", "/healthz"): Op(None, is_open=True),
    ("GET", "/readyz"): Op(None, is_open=True),
    ("GET", "/v1/whoami"): Op(None),
    ("GET", "/v1/login"): Op(None, is_open=True),
    ("POST", "/v1/login"): Op(None, is_open=True, body={"token": "nonsense"}),
    ("POST", "/v1/logout"): Op(None, is_open=True),
    ("GET", "/v1/turns/{turn_id}"): Op(Scope.TURNS_READ, TURN),
    ("GET", "/v1/turns/{turn_id}/explain"): Op(Scope.TURNS_READ, TURN),
    ("GET", "/v1/turns/{turn_id}/events"): Op(Scope.EVENTS_READ, TURN),
    ("POST", "/v1/turns/{turn_id}/signals/{name}"): Op(Scope.SIGNALS_WRITE, TURN, {}),
    ("POST", "/v1/turns/{turn_id}/cancel"): Op(Scope.TURNS_CANCEL, TURN),
    ("POST", "/v1/turns/{turn_id}/resume"): Op(Scope.TURNS_RESUME, TURN),
    ("POST", "/v1/turns:resume"): Op(Scope.TURNS_RESUME),
    ("POST", "/v1/turns:batch"): Op(
        Scope.TURNS_WRITE, body={"session": "batch", "workflow": "echo", "input": 1}, media_type=NDJSON
    ),
    ("POST", "/v1/sessions/{session}/turns"): Op(Scope.TURNS_WRITE, body={"workflow": "echo", "input": 1}),
    ("GET", "/v1/sessions"): Op(Scope.SESSIONS_READ),
    ("GET", "/v1/sessions/{session}"): Op(Scope.SESSIONS_READ, SESSION),
    ("GET", "/v1/sessions/{session}/turns"): Op(Scope.SESSIONS_READ, SESSION),
    ("GET", "/v1/sessions/{session}/events"): Op(Scope.EVENTS_READ, is_endless=True),
    ("GET", "/v1/graphs"): Op(Scope.GRAPHS_READ),
    ("POST", "/v1/graphs"): Op(Scope.GRAPHS_WRITE, body={"graph": "another"}),
    ("GET", "/v1/graphs/{graph}"): Op(Scope.GRAPHS_READ, GRAPH),
    ("GET", "/v1/graphs/{graph}/acl"): Op(Scope.GRAPHS_READ, GRAPH),
    ("PUT", "/v1/graphs/{graph}/acl"): Op(Scope.GRAPHS_WRITE, GRAPH, {"acl": {"read": ["*"]}}),
    ("POST", "/v1/graphs/{graph}/apply"): Op(Scope.GRAPHS_WRITE, GRAPH, {"ops": [NODE]}),
    ("GET", "/v1/graphs/{graph}/export"): Op(Scope.GRAPHS_READ, GRAPH),
    ("POST", "/v1/graphs/{graph}/neighbors"): Op(Scope.GRAPHS_READ, GRAPH, {"ids": ["ada"]}),
    ("GET", "/v1/graphs/{graph}/nodes"): Op(Scope.GRAPHS_READ, GRAPH),
    ("GET", "/v1/graphs/{graph}/nodes/{node}"): Op(Scope.GRAPHS_READ, GRAPH),
    ("POST", "/v1/graphs/{graph}/query"): Op(Scope.GRAPHS_READ, GRAPH, {"cypher": "MATCH (n) RETURN n.id"}),
    ("POST", "/v1/graphs/{graph}/recall"): Op(Scope.GRAPHS_READ, GRAPH, {"text": "ada"}),
    ("POST", "/v1/graphs/{graph}/search"): Op(Scope.GRAPHS_READ, GRAPH, {"text": "ada"}),
    ("GET", "/v1/graphs/{graph}/summary"): Op(Scope.GRAPHS_READ, GRAPH),
    ("POST", "/v1/graphs/{graph}/ingest"): Op(Scope.JOBS_WRITE, body=NODE, media_type=NDJSON),
    ("GET", "/v1/graphs/{graph}/ingest"): Op(Scope.JOBS_READ),
    ("GET", "/v1/ingest/{job_id}"): Op(Scope.JOBS_READ, JOB),
    ("GET", "/v1/ingest/{job_id}/events"): Op(Scope.JOBS_READ, JOB, is_endless=True),
    ("GET", "/v1/ingest/{job_id}/rejects"): Op(Scope.JOBS_READ, JOB),
    ("POST", "/v1/ingest/{job_id}/cancel"): Op(Scope.JOBS_WRITE, JOB),
    ("GET", "/v1/erasures"): Op(Scope.ERASURES_READ),
    ("GET", "/v1/erasures/{erasure_id}"): Op(Scope.ERASURES_READ, "erasure_not_found"),
    ("POST", "/v1/erasures"): Op(
        Scope.ERASURES_WRITE, TURN, {"kind": "turn", "target": "{turn_id}", "confirm": "{turn_id}"}
    ),
    # 204 also when there is none: the asker's own, in any case.
    ("DELETE", "/v1/graphs/{graph}"): Op(Scope.GRAPHS_WRITE, query="confirm={graph}"),
    ("GET", "/v1/workflows"): Op(Scope.WORKFLOWS_READ),
    ("GET", "/v1/tokens"): Op(Scope.TOKENS_READ),
    ("POST", "/v1/tokens"): Op(Scope.TOKENS_WRITE, body={"name": "another", "role": "viewer"}),
    ("POST", "/v1/tokens/{token_id}/rotate"): Op(Scope.TOKENS_WRITE, TOKEN),
    ("DELETE", "/v1/tokens/{token_id}"): Op(Scope.TOKENS_WRITE, TOKEN),
    ("GET", "/v1/audit"): Op(Scope.AUDIT_READ),
    ("POST", "/v1/subjects/{sub}/revoke"): Op(Scope.ACT_AS, body={}, is_of_installation=True),
    ("GET", "/v1/fleet"): Op(Scope.FLEET_READ, is_of_installation=True),
    ("GET", "/v1/fleet/partitions"): Op(Scope.FLEET_READ, is_of_installation=True),
    ("GET", "/v1/fleet/shards"): Op(Scope.FLEET_READ, is_of_installation=True),
    ("GET", "/v1/fleet/moves"): Op(Scope.FLEET_READ, is_of_installation=True),
    ("GET", "/v1/fleet/leaders"): Op(Scope.LEADERS_READ, is_of_installation=True),
    ("GET", "/v1/dead-letters"): Op(Scope.DEADLETTERS_READ, is_of_installation=True),
    ("GET", "/v1/tenants"): Op(Scope.TENANTS_READ, is_of_installation=True),
    ("POST", "/v1/tenants"): Op(Scope.TENANTS_WRITE, body={"name": "{new}"}, is_of_installation=True),
    ("PATCH", "/v1/tenants/{tenant}"): Op(Scope.TENANTS_WRITE, body={"state": "active"}, is_of_installation=True),
    ("DELETE", "/v1/tenants/{tenant}"): Op(Scope.TENANTS_WRITE, query="confirm={tenant}", is_of_installation=True),
    ("GET", "/v1/tenants/{tenant}/erasure"): Op(Scope.TENANTS_READ, is_of_installation=True),
}
REVOKE: Final = ("POST", "/v1/subjects/{sub}/revoke")
GUARDED: Final = {key: op for key, op in OPERATIONS.items() if not op.is_open}
# These answer an administrator who names no tenant, though tenants have them, too.
OF_BOTH: Final = {Scope.WORKFLOWS_READ, Scope.TOKENS_READ, Scope.TOKENS_WRITE, Scope.AUDIT_READ}
_SOURCES: Final = (f"10.{a}.{b}.1" for a, b in itertools.product(range(256), repeat=2))


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    text: str
    was_read: bool

    @property
    def code(self) -> str:
        return str(json.loads(self.text).get("code", "")) if self.text.startswith("{") else ""


class World:
    """A gateway that asks for tokens; a tenant with something of each kind, `names`; and others."""

    def __init__(self, app: FastAPI, identities: Identities, rows: Rows) -> None:
        self.app = app
        self.identities = identities
        self.rows = rows
        self.names: dict[str, str] = {}
        self.owner = rows.tenant
        self.stranger, self.twin = f"x-{uuid.uuid4().hex[:12]}", same_tag(rows.tenant)
        self._document = Document(app.openapi())

    async def token(self, tenant: str | None, role: Role | None = None, **limits: Any) -> str:
        return (await self.token_and_id(tenant, role, **limits))[0]

    async def token_and_id(
        self,
        tenant: str | None,
        role: Role | None = None,
        *,
        scopes: Iterable[Scope] = (),
        sessions: list[str] | None = None,
        lifetime_s: float = 3_600,
    ) -> tuple[str, uuid.UUID]:
        token, token_id = mint(TokenKind.TENANT if tenant else TokenKind.ADMIN), uuid.uuid4()
        new = NewToken(
            token_id,
            digest(token),
            tenant,
            "t",
            role,
            sorted(scopes),
            sessions,
            None,
            hint(token),
            "a test",
            lifetime_s,
        )
        await self.identities.create_token(new, act(tenant))
        return token, token_id

    async def tenant(self, name: str) -> None:
        with contextlib.suppress(TenantExistsError):  # a twin of another test
            await self.identities.create_tenant(name, act(name))

    async def ask(self, key: tuple[str, str], token: str | None, **headers: str) -> Answer:
        """What an operation answers, about what the owner has; every answer is as the document says."""
        authorization = {} if token is None else {"authorization": f"Bearer {token}"}
        method, url, content, given = self._request(key)
        answer = await self.ask_raw(method, url, content, given | authorization | headers)
        response = httpx2.Response(
            answer.status,
            headers=answer.headers,
            content=answer.text.encode(),
            request=httpx2.Request(method, f"http://localhost{url}"),
        )
        await self._document.check(response)
        return answer

    async def ask_raw(
        self, method: str, url: str, content: bytes, headers: dict[str, str] | list[tuple[str, str]]
    ) -> Answer:
        """Ask the app itself, from an address of its own, and see whether it reads the body."""
        path, _, query = url.partition("?")
        fields = [("host", "localhost"), *(headers.items() if isinstance(headers, dict) else headers)]
        fields += [("content-length", str(len(content)))] if content else []
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in fields],
            "client": (next(_SOURCES), 1), "server": ("localhost", 80),
        }  # fmt: skip
        parts: list[Message] = []
        bodies: Iterator[Message] = iter(({"type": "http.request", "body": content, "more_body": False},))
        was_read = False

        async def receive() -> Message:
            nonlocal was_read
            was_read = True
            return next(bodies, {"type": "http.disconnect"})

        async def send(message: Message) -> None:
            parts.append(message)

        await self.app(scope, receive, send)
        begin = next(part for part in parts if part["type"] == "http.response.start")
        text = b"".join(part.get("body", b"") for part in parts).decode()
        told = {name.decode(): value.decode() for name, value in begin["headers"]}
        return Answer(begin["status"], told, text, was_read)

    def _request(self, key: tuple[str, str]) -> tuple[str, str, bytes, dict[str, str]]:
        op, (method, path) = OPERATIONS[key], key
        names = self.names | {"new": f"n-{uuid.uuid4().hex[:12]}"}
        url = path.format(**names) + (f"?{op.query.format(**names)}" if op.query else "")
        headers = {"accept": JSON}
        if op.body is None:
            return method, url, b"", headers
        filled = {name: value.format(**names) if isinstance(value, str) else value for name, value in op.body.items()}
        return method, url, json.dumps(filled).encode(), headers | {"content-type": op.media_type}


def act(tenant: str | None) -> Act:
    return Act("local", "a test", None, tenant, "test")


@pytest.fixture
def settings_with_tokens(settings: Settings) -> Settings:
    return settings.model_copy(update={"kg_auth_required": True, "allow_tenant_header": False, "gateway_cache_s": 0.05})


@pytest.fixture
async def world(settings_with_tokens: Settings, rows: Rows, tmp_path: Path) -> AsyncIterator[World]:
    settings = settings_with_tokens
    app = create_app(settings, has_signals=False)
    async with open_pool(settings, settings.state_db_uri) as pool, shard_served(settings, tmp_path / "shard"):
        world = World(app, Identities(pool), rows)
        for name in (world.owner, world.stranger, world.twin):
            await world.tenant(name)
        async with app.router.lifespan_context(app):
            await _fill(world)
            yield world


async def _fill(world: World) -> None:
    """Give the owner one of each kind."""
    rows, token = world.rows, await world.token(world.owner, Role.TENANT)
    turn_id = await rows.turn("support-1", "parked", attempt=1, seq=1, input=MARK, error={"type": "E", "message": MARK})
    await rows.events(turn_id, ("turn.started", "", {"mark": MARK}))
    world.names = {
        "turn_id": str(turn_id), "session": "support-1", "name": "go", "graph": "people", "node": "ada",
        "tenant": world.stranger, "sub": "somebody",
        "token_id": str((await world.token_and_id(world.owner, Role.VIEWER))[1]),
    }  # fmt: skip
    gone = await rows.turn("support-2", "completed", attempt=1)

    async def made(url: str, content: Any, status: int, media_type: str = JSON) -> Any:
        headers = {"authorization": f"Bearer {token}", "content-type": media_type, "accept": JSON}
        answer = await world.ask_raw("POST", url, json.dumps(content).encode(), headers)
        assert answer.status == status, answer
        return json.loads(answer.text)

    await made("/v1/graphs", {"graph": "people"}, 200)
    await made("/v1/graphs/people/apply", {"ops": [NODE | {"props": {"note": MARK}}]}, 200)
    world.names["job_id"] = (await made("/v1/graphs/people/ingest", NODE, 202, NDJSON))["job_id"]
    erasure = {"kind": "turn", "target": str(gone), "confirm": str(gone)}
    world.names["erasure_id"] = (await made("/v1/erasures", erasure, 202))["erasure_id"]
    await rows.connection.execute(  # there was a tenant of this name before, and it was deleted
        "INSERT INTO erasures (erasure_id, tenant, lane, kind, target_digest, through_at, fenced_at, stage, ended_at)"
        " VALUES (gen_random_uuid(), $1, 'default', 'tenant', '', 'infinity', now(), 'done', now())",
        world.stranger,
    )


async def untouched(world: World) -> None:
    """Nobody has changed what the owner has."""
    turn_id = uuid.UUID(world.names["turn_id"])
    assert await world.rows.inbox(turn_id) == []
    status = await world.rows.connection.fetchval("SELECT status FROM turns WHERE turn_id = $1", turn_id)
    token = await world.identities.get_token(uuid.UUID(world.names["token_id"]), world.owner)
    assert status == "parked"
    assert token is not None
    assert (token.revoked_at, token.replaced_by) == (None, None)
    jobs = await world.rows.connection.fetch("SELECT state FROM ingest_jobs WHERE tenant = $1", world.owner)
    graphs = await world.rows.connection.fetch("SELECT graph, state FROM graphs WHERE tenant = $1", world.owner)
    assert [str(row["state"]) for row in jobs] == ["running"]
    assert [tuple(row) for row in graphs] == [("people", "active")]


async def until_heard(world: World, token: str, method: str, url: str, code: str) -> None:
    """Returns once the gateway answers so, to a request without a body: it has heard what somebody else has written."""
    async with asyncio.timeout(10):
        while True:
            if (await world.ask_raw(method, url, b"", {"authorization": f"Bearer {token}"})).code == code:
                return
            await asyncio.sleep(0.02)


def test_every_operation_of_the_document_is_in_the_table(settings: Settings) -> None:
    document = create_app(settings, has_signals=False).openapi()
    documented = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}

    assert documented == set(OPERATIONS)


def test_the_table_says_what_routes_declare_and_the_document_tells(settings_with_tokens: Settings) -> None:
    app = create_app(settings_with_tokens, has_signals=False)
    declared, paths = accesses(app.state.routes), app.openapi()["paths"]

    assert {key: declared[key].scope for key in OPERATIONS} == {key: op.scope for key, op in OPERATIONS.items()}
    assert {key for key in OPERATIONS if declared[key].is_open} == OPERATIONS.keys() - GUARDED.keys()
    for (method, path), op in OPERATIONS.items():
        told = [scopes for each in paths[path][method.lower()]["security"] for scopes in each.values()]
        assert told == ([] if op.is_open else [[op.scope] if op.scope else []]), (method, path)


async def test_without_a_credential_nothing_is_answered_and_nothing_of_the_body_is_read(world: World) -> None:
    for key in GUARDED:
        for scheme in (None, "Basic dTpw", "argosy", "Bearer", "Bearer "):
            headers = {} if scheme is None else {"authorization": scheme}
            answer = await world.ask(key, None, **headers)
            assert (answer.status, answer.code) == (401, "unauthenticated"), (key, scheme, answer)
            assert answer.headers["www-authenticate"] == 'Bearer realm="argosy"'
            assert not json.loads(answer.text)["retryable"]
            assert not answer.was_read, key
    await untouched(world)


async def test_every_bad_credential_is_one_answer_whatever_is_wrong_with_it(world: World) -> None:
    expired = await world.token(world.owner, Role.TENANT, lifetime_s=0.001)
    revoked, token_id = await world.token_and_id(world.owner, Role.TENANT)
    await world.identities.revoke_token(token_id, world.owner, act(world.owner))
    good = mint(TokenKind.TENANT)
    bad = {
        "expired": expired,
        "revoked": revoked,
        "unknown": good,
        "of an administrator that is none": mint(TokenKind.ADMIN),
        "mistyped": good[:-1] + ("a" if good[-1] != "a" else "b"),
        "nonsense": "nonsense",
        "like a JWT": "eyJhbGciOiJub25lIn0.e30.",
        "long": "x" * 20_000,
    }
    await until_heard(world, revoked, "GET", "/v1/whoami", "invalid_token")
    bodies = set()

    for key in GUARDED:
        for what, token in bad.items():
            answer = await world.ask(key, token)
            assert (answer.status, answer.code) == (401, "invalid_token"), (key, what, answer)
            assert 'error="invalid_token"' in answer.headers["www-authenticate"]
            assert not answer.was_read, key
            assert token not in answer.text
            bodies.add(answer.text)

    assert len(bodies) == 1
    await untouched(world)


async def test_two_credentials_are_none(world: World) -> None:
    token = await world.token(world.owner, Role.TENANT)
    twice = [("authorization", f"Bearer {token}")] * 2

    answers = [await world.ask_raw(*key, b"", twice) for key in (("GET", "/v1/whoami"), ("GET", "/v1/sessions"))]

    assert [(each.status, each.code) for each in answers] == [(400, "invalid_parameter")] * 2


async def test_a_credential_that_lacks_the_scope_is_told_which_and_nothing_is_read(world: World) -> None:
    lacking = {scope: await world.token(world.owner, scopes=OF_TENANTS - {scope}) for scope in OF_TENANTS}
    full = await world.token(world.owner, Role.TENANT)

    for key, op in GUARDED.items():
        if op.scope is None:
            continue
        answer = await world.ask(key, lacking.get(op.scope, full))
        assert (answer.status, answer.code) == (403, "insufficient_scope"), (key, answer)
        assert json.loads(answer.text)["scope"] == op.scope
        challenge = answer.headers["www-authenticate"]
        assert f'error="insufficient_scope", scope="{op.scope}"' in challenge
        assert not answer.was_read, key
    await untouched(world)


@pytest.mark.parametrize("who", ["stranger", "twin"])
async def test_what_is_another_tenants_is_nobodys(world: World, who: str) -> None:
    """twin: a tenant whose ids carry the tag of the owner's, so that no id tells them apart."""
    tenant = world.stranger if who == "stranger" else world.twin
    token = await world.token(tenant, Role.TENANT)

    for key, op in GUARDED.items():
        if op.is_of_installation or (op.is_endless and not op.missing):
            continue
        answer = await world.ask(key, token)
        if op.missing:
            assert (answer.status, answer.code) == (404, op.missing), (key, answer)
        else:
            assert answer.status < 400, (key, answer)
        assert MARK not in answer.text, key
        if op.scope in {Scope.TOKENS_READ, Scope.AUDIT_READ, Scope.JOBS_READ, Scope.ERASURES_READ, Scope.GRAPHS_READ}:
            assert not op.missing or answer.status == 404
            for name in ("token_id", "job_id", "erasure_id"):
                assert op.missing or world.names[name] not in answer.text, (key, name)
    await untouched(world)


@pytest.mark.parametrize("who", ["stranger", "twin"])
async def test_another_tenants_thing_looks_like_one_that_never_was(world: World, who: str) -> None:
    token = await world.token(world.stranger if who == "stranger" else world.twin, Role.TENANT)
    theirs = world.names
    turn_id = str(world.rows.mint("nowhere"))
    nobodys = {name: str(uuid.uuid4()) for name in ("job_id", "erasure_id", "token_id")}
    nowhere = theirs | nobodys | {"turn_id": turn_id, "session": "nowhere-1", "graph": "nowhere"}

    for key, op in GUARDED.items():
        if not op.missing or (op.missing == TURN and who == "twin"):
            continue  # a turn that nobody has may be the twin's, and on its way: test_tenants.py
        world.names = theirs
        there = await world.ask(key, token)
        world.names = nowhere
        never = await world.ask(key, token)
        world.names = theirs
        shown = there.text
        for name, value in nowhere.items():
            shown = shown.replace(theirs[name], value)
        assert (there.status, shown) == (never.status, never.text), key


async def test_the_owner_and_an_administrator_who_acts_for_it_get_what_they_ask_for(world: World) -> None:
    owner, admin = await world.token(world.owner, Role.TENANT), await world.token(None, Role.ADMIN)

    # The table has what ends something last.
    for key, op in GUARDED.items():
        if op.is_endless or key[0] in {"POST", "DELETE"}:
            continue
        if op.is_of_installation:
            assert (await world.ask(key, admin)).status < 400, key
            continue
        for answer in (await world.ask(key, owner), await world.ask(key, admin, **{"x-argosy-tenant": world.owner})):
            assert answer.status < 400, (key, answer)
    for key, op in GUARDED.items():
        if not op.is_endless and key[0] in {"POST", "DELETE"}:
            answer = await world.ask(key, admin if op.is_of_installation else owner)
            is_none = (
                key == REVOKE and answer.code == "invalid_request"
            )  # no issuer is trusted: test_revoked_subjects.py
            assert answer.status < 400 or is_none or (op.missing and answer.status == 409), (key, answer)


async def test_a_tenants_token_acts_for_no_other_tenant(world: World) -> None:
    token = await world.token(world.stranger, Role.TENANT)

    for key in GUARDED:
        for named in (world.owner, world.twin, "nobody-at-all", "default"):
            answer = await world.ask(key, token, **{"x-argosy-tenant": named})
            assert (answer.status, answer.code) == (403, "insufficient_scope"), (key, named, answer)
            assert json.loads(answer.text)["scope"] == Scope.ACT_AS
    await untouched(world)


async def test_an_administrator_of_no_tenant_sees_nothing_of_tenants(world: World) -> None:
    admin, operator = await world.token(None, Role.ADMIN), await world.token(None, Role.OPERATOR)

    for key, op in GUARDED.items():
        if op.is_of_installation or op.scope is None or op.scope in OF_BOTH:
            continue
        named, unnamed = await world.ask(key, admin), await world.ask(key, operator)
        assert (named.status, named.code) == (403, "tenant_required"), (key, named)
        assert (unnamed.status, unnamed.code) == (403, "insufficient_scope"), (key, unnamed)
    answer = await world.ask(("GET", "/v1/sessions"), operator, **{"x-argosy-tenant": world.owner})
    assert (answer.status, answer.code) == (403, "insufficient_scope")
    await untouched(world)


async def test_an_administrator_who_acts_for_a_tenant_is_in_that_tenants_audit(world: World) -> None:
    admin, owner = await world.token(None, Role.ADMIN), await world.token(world.owner, Role.TENANT)

    await world.ask(("GET", "/v1/sessions"), admin, **{"x-argosy-tenant": world.owner})

    entries = json.loads((await world.ask(("GET", "/v1/audit"), owner)).text)["entries"]
    assert "tenant.act_as" in {each["action"] for each in entries}
    assert {each["tenant"] for each in entries} == {world.owner}


async def test_a_suspended_tenant_reads_and_writes_nothing(world: World) -> None:
    token = await world.token(world.owner, Role.TENANT)
    await world.identities.set_tenant_state(world.owner, TenantState.SUSPENDED, act(world.owner))
    await until_heard(world, token, "POST", "/v1/graphs", "tenant_suspended")

    for key, op in GUARDED.items():
        if op.is_of_installation or op.is_endless:
            continue
        answer = await world.ask(key, token)
        if op.scope is None or op.scope.endswith(":read"):
            assert answer.status < 400, (key, answer)
        else:
            assert (answer.status, answer.code) == (403, "tenant_suspended"), (key, answer)
            assert not answer.was_read
    await untouched(world)


async def test_nobody_is_let_in_for_a_tenant_that_was_deleted(world: World) -> None:
    token, admin = await world.token(world.owner, Role.TENANT), await world.token(None, Role.ADMIN)
    new = erasure_of_tenant(world.owner, "default")
    await world.identities.delete_tenant(world.owner, new, 60.0, 60.0, act(world.owner))
    await until_heard(world, token, "GET", "/v1/whoami", "invalid_token")

    for key in GUARDED:
        own, acting = await world.ask(key, token), await world.ask(key, admin, **{"x-argosy-tenant": world.owner})
        assert (own.status, own.code) == (401, "invalid_token"), (key, own)
        assert (acting.status, acting.code) == (404, "tenant_not_found"), (key, acting)
        assert not own.was_read
        assert not acting.was_read


async def test_a_token_for_other_sessions_reaches_nothing_of_this_one(world: World) -> None:
    token = await world.token(world.owner, scopes=OF_TENANTS, sessions=["billing-*"])

    for key, op in GUARDED.items():
        if op.scope is None or op.is_of_installation or op.scope is Scope.WORKFLOWS_READ:
            continue
        answer = await world.ask(key, token)
        assert MARK not in answer.text, key
        assert "support-1" not in answer.text or answer.status in (403, 404), (key, answer)
        if "{" in key[1]:
            assert answer.status in (403, 404), (key, answer)
    await untouched(world)


async def test_what_is_open_to_all_shows_nothing_of_tenants_and_asks_nobody(world: World) -> None:
    answers = [
        await world.ask_raw("GET", path, b"", headers)
        for path in ("/healthz", "/readyz", "/", "/docs", "/openapi.json", "/console/app.js")
        for headers in ({}, {"authorization": "Bearer nonsense"})
    ]

    assert {each.status for each in answers} <= {200, 307}
    assert all(MARK not in each.text and world.owner not in each.text for each in answers)


async def test_metrics_are_for_those_with_the_scope(world: World) -> None:
    tokens = [None, "nonsense", *[await world.token(world.owner, Role.TENANT), await world.token(None, Role.OPERATOR)]]

    answers = [
        await world.ask_raw("GET", "/metrics", b"", {} if each is None else {"authorization": f"Bearer {each}"})
        for each in tokens
    ]

    assert [each.status for each in answers] == [401, 401, 403, 200]


async def test_what_somebody_is_shown_no_cache_keeps(world: World) -> None:
    token = await world.token(world.owner, Role.TENANT)

    for key, op in GUARDED.items():
        if key[0] == "GET" and not op.is_endless:
            answer = await world.ask(key, token)
            assert "no-store" in answer.headers["cache-control"], key


async def test_no_token_is_in_the_database_or_in_a_list(world: World) -> None:
    owner = await world.token(world.owner, Role.TENANT)
    made = json.loads((await world.ask(("POST", "/v1/tokens"), owner)).text)

    listed = (await world.ask(("GET", "/v1/tokens"), owner)).text

    assert made["token"] not in listed
    assert owner not in listed
    connection: asyncpg.Connection = world.rows.connection
    for table in ("tokens", "audit"):
        rows = await connection.fetch(f"SELECT t::text FROM {table} AS t")  # noqa: S608
        assert all(made["token"] not in row[0] and owner not in row[0] for row in rows)
