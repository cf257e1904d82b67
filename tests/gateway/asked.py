"""A gateway that asks for tokens, and a tenant with something of each kind, for every operation to be asked about."""

import asyncio
import contextlib
import itertools
import json
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import httpx2
from fastapi import FastAPI
from starlette.types import Message

from argosy.config import Settings
from argosy.identity.api_token import TokenKind, digest, hint, mint
from argosy.identity.errors import TenantExistsError
from argosy.identity.scopes import Role, Scope
from argosy.store.audit import Act
from argosy.store.identity import Identities, NewToken
from tests.gateway.conformance import document_of
from tests.gateway.operations import JSON, NDJSON, NODE, OPERATIONS
from tests.gateway.rows import Rows
from tests.harness.same_tag import same_tag

MARK: Final = f"secret-{uuid.uuid4().hex}"  # in everything that the owner has
_SOURCES: Final = (f"127.{a}.{b}.1" for a, b in itertools.product(range(256), repeat=2))


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

    def __init__(self, app: FastAPI, settings: Settings, identities: Identities, rows: Rows) -> None:
        self.app = app
        self.identities = identities
        self.rows = rows
        self.names: dict[str, str] = {}
        self.owner = rows.tenant
        self.stranger, self.twin = f"x-{uuid.uuid4().hex[:12]}", same_tag(rows.tenant)
        self._document = document_of(settings)

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


async def fill(world: World) -> None:
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
