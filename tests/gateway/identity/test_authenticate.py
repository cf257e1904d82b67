"""Who asks: what each credential is answered, where it is needed and where nobody is asked."""

import asyncio
import hashlib
import re
import time
from pathlib import Path
from typing import Final

import httpx2
import pytest

from argosy.config import Settings
from argosy.gateway import authenticate
from argosy.gateway.authenticate import Authenticator
from argosy.identity import api_token
from argosy.identity.api_token import TokenKind, mint
from argosy.identity.scopes import OF_TENANTS, Role, Scope
from argosy.store.audit import list_audit
from argosy.store.pool import open_pool
from tests.gateway.conftest import OpenGateway
from tests.gateway.identity.conftest import OpenGuarded, guarded_of
from tests.gateway.identity.refusals import challenge, problem
from tests.gateway.identity.tokens import Tokens
from tests.gateway.rows import Rows
from tests.harness.tcp_proxy import PostgresProxy

ADMIN: Final = "an admin's token of a deployment, long enough"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_a_good_token_says_who_asks(guarded: httpx2.AsyncClient, tokens: Tokens, scheme: str) -> None:
    made = await tokens.make(Role.USER)

    answer = await guarded.get("/v1/whoami", headers={"authorization": f"{scheme} {made.token}"})

    said = answer.json()
    assert answer.status_code == 200
    assert (said["kind"], said["tenant"], said["role"], said["token_id"]) == (
        "token", tokens.tenant, "user", str(made.token_id)
    )  # fmt: skip
    assert Scope.TURNS_WRITE in said["scopes"]
    assert said["expires_at"] is not None
    assert made.token not in answer.text


async def test_clients_can_send_tokens_before_they_are_needed(client: httpx2.AsyncClient, tokens: Tokens) -> None:
    made = await tokens.make(Role.VIEWER)

    with_token = await client.get("/v1/whoami", headers=made.headers)
    without = await client.get("/v1/whoami")
    refused = await client.post("/v1/sessions/s/turns", json={"workflow": "echo"}, headers=made.headers)

    assert (with_token.json()["kind"], without.json()["kind"]) == ("token", "local")
    assert problem(refused) == (403, "insufficient_scope")


async def test_a_tenants_header_does_not_make_one_another_tenant(
    guarded: httpx2.AsyncClient, tokens: Tokens, rows: Rows
) -> None:
    made = await tokens.make()
    turn_id = await rows.turn("s", "completed")

    mine = await guarded.get(f"/v1/turns/{turn_id}", headers=made.headers | {"x-argosy-tenant": tokens.tenant})
    others = await guarded.get("/v1/sessions", headers=made.headers | {"x-argosy-tenant": "default"})
    nobodys = await guarded.get("/v1/sessions", headers=made.headers | {"x-argosy-tenant": "a/b"})
    without = await guarded.get("/v1/sessions", headers={"x-argosy-tenant": tokens.tenant})

    assert mine.status_code == 200
    assert problem(others) == (403, "insufficient_scope")
    assert others.json()["scope"] == "tenants:act_as"
    assert nobodys.status_code == 400
    assert problem(without) == (401, "unauthenticated")


async def test_an_administrator_acts_as_a_tenant_that_it_names_and_that_is_written_down(
    guarded: httpx2.AsyncClient, tokens: Tokens, rows: Rows, settings: Settings
) -> None:
    admin = await tokens.make_operator(Role.ADMIN)
    turn_id = await rows.turn("s", "completed")
    acting = admin.headers | {"x-argosy-tenant": tokens.tenant}

    unnamed = await guarded.get(f"/v1/turns/{turn_id}", headers=admin.headers)
    shown = [await guarded.get(f"/v1/turns/{turn_id}", headers=acting) for _ in range(3)]
    nobody = await guarded.get("/v1/sessions", headers=admin.headers | {"x-argosy-tenant": f"{tokens.tenant}-no"})
    said = (await guarded.get("/v1/whoami", headers=acting)).json()
    async with open_pool(settings, settings.state_db_uri) as pool:
        audit = [row.act for row in await list_audit(pool, tokens.tenant, None, 100)]
    told = [act for act in audit if act.action == "tenant.act_as"]

    assert problem(unnamed) == (403, "tenant_required")
    assert [answer.status_code for answer in shown] == [200] * 3
    assert problem(nobody) == (404, "tenant_not_found")
    assert (said["tenant"], said["acts_as"]) == (tokens.tenant, True)
    assert set(OF_TENANTS) <= set(said["scopes"])
    assert [(act.target, act.token_id) for act in reversed(told)] == [
        ("turns:read", admin.token_id), ("", admin.token_id)
    ]  # fmt: skip


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ADMIN])
async def test_an_operator_sees_the_fleet_and_nothing_of_a_tenant(
    guarded: httpx2.AsyncClient, tokens: Tokens, role: Role
) -> None:
    operator = await tokens.make_operator(role)

    for path in ("/v1/fleet", "/v1/fleet/leaders", "/v1/dead-letters", "/v1/workflows"):
        assert (await guarded.get(path, headers=operator.headers)).status_code == 200, path
    answer = await guarded.get("/v1/sessions", headers=operator.headers)
    assert problem(answer) == (403, "insufficient_scope" if role is Role.OPERATOR else "tenant_required")


async def test_what_a_scope_is_missing_for_is_told(guarded: httpx2.AsyncClient, tokens: Tokens) -> None:
    made = await tokens.make(Role.VIEWER)

    answer = await guarded.post("/v1/sessions/s/turns", json={"workflow": "echo"}, headers=made.headers)

    assert problem(answer) == (403, "insufficient_scope")
    assert answer.json()["scope"] == "turns:write"
    assert challenge(answer) == 'Bearer realm="argosy", error="insufficient_scope", scope="turns:write"'


async def test_a_suspended_tenant_reads_and_writes_nothing(
    guarded: httpx2.AsyncClient, tokens: Tokens, rows: Rows
) -> None:
    made, admin = await tokens.make(), await tokens.make_operator(Role.ADMIN)
    turn_id = await rows.turn("s", "completed")
    assert (await guarded.get("/v1/sessions", headers=made.headers)).status_code == 200
    await tokens.suspend(tokens.tenant)
    await guarded.state.identity.cache.refresh_after()  # type: ignore[attr-defined]

    reads = await guarded.get(f"/v1/turns/{turn_id}", headers=made.headers)
    writes = [
        await guarded.post(path, json={"workflow": "echo"}, headers=made.headers)
        for path in ("/v1/sessions/s/turns", f"/v1/turns/{turn_id}/cancel", "/v1/tokens")
    ]
    acting = await guarded.get("/v1/sessions", headers=admin.headers | {"x-argosy-tenant": tokens.tenant})

    assert reads.status_code == 200
    assert [problem(answer) for answer in writes] == [(403, "tenant_suspended")] * 3
    assert problem(acting) == (403, "tenant_suspended")


async def test_a_revoked_token_is_refused_by_every_gateway_soon(open_guarded: OpenGuarded, tokens: Tokens) -> None:
    made = await tokens.make()
    gateways = [await open_guarded(gateway_cache_s=0.5) for _ in range(3)]
    before = [await each.get("/v1/sessions", headers=made.headers) for each in gateways]

    ended = await gateways[0].delete(f"/v1/tokens/{made.token_id}", headers=made.headers)
    began_s = time.monotonic()
    here = await gateways[0].get("/v1/sessions", headers=made.headers)
    left = set(gateways)
    while left and time.monotonic() - began_s < 10:
        for each in list(left):
            if (await each.get("/v1/sessions", headers=made.headers)).status_code == 401:
                left.discard(each)
        await asyncio.sleep(0.02)
    took_s = time.monotonic() - began_s

    assert [answer.status_code for answer in before] == [200] * 3
    assert ended.status_code == 204
    assert here.status_code == 401, "where it was revoked it is at once"
    assert not left
    assert took_s < 5, "some twice GATEWAY_CACHE_S"


async def test_a_token_is_good_everywhere_as_soon_as_it_is_made(open_guarded: OpenGuarded, tokens: Tokens) -> None:
    gateway = await open_guarded(gateway_cache_s=60)
    made = await tokens.make()

    answers = await asyncio.gather(*(gateway.get("/v1/sessions", headers=made.headers) for _ in range(20)))

    assert [answer.status_code for answer in answers] == [200] * 20


async def test_without_postgres_known_tokens_pass_for_a_while_and_unknown_ones_are_told_to_come_back(
    open_guarded: OpenGuarded, tokens: Tokens, proxy: PostgresProxy
) -> None:
    gateway = await open_guarded(
        state_db_uri=proxy.dsn, gateway_cache_s=0.2, identity_stale_s_max=3.0, gateway_lag_max_s=0
    )
    known = await tokens.make()
    assert (await gateway.get("/v1/whoami", headers=known.headers)).status_code == 200
    unknown = await tokens.make()
    await proxy.refuse()
    began_s = time.monotonic()
    try:
        new = await gateway.get("/v1/whoami", headers=unknown.headers)
        malformed = await gateway.get("/v1/whoami", headers={"authorization": "Bearer sesame"})
        still = await gateway.get("/v1/whoami", headers=known.headers)
        while (last := await gateway.get("/v1/whoami", headers=known.headers)).status_code == 200:
            assert time.monotonic() - began_s < 20
            await asyncio.sleep(0.1)
        ended_s = time.monotonic() - began_s
    finally:
        await proxy.allow()
    while (await gateway.get("/v1/whoami", headers=unknown.headers)).status_code != 200:
        assert time.monotonic() - began_s < 40
        await asyncio.sleep(0.1)

    assert problem(new) == (503, "identity_unavailable")
    assert new.headers["retry-after"] == "1"
    assert problem(malformed) == (401, "invalid_token")
    assert still.status_code == 200
    assert problem(last) == (503, "identity_unavailable")
    assert 2 < ended_s < 9


async def test_the_token_of_the_settings_is_an_administrators_and_needs_no_postgres(
    open_guarded: OpenGuarded, proxy: PostgresProxy, tokens: Tokens
) -> None:
    gateway = await open_guarded(state_db_uri=proxy.dsn, argosy_admin_token=ADMIN)
    admin = {"authorization": f"Bearer {ADMIN}"}
    acting = admin | {"x-argosy-tenant": tokens.tenant}
    made = await gateway.post("/v1/tokens", json={"name": "n", "role": "user"}, headers=acting)
    await proxy.refuse()

    said = await gateway.get("/v1/whoami", headers=admin)
    almost = await gateway.get("/v1/whoami", headers={"authorization": f"Bearer {ADMIN[:-1]}"})

    assert made.status_code == 201
    assert (said.status_code, said.json()["role"], said.json()["tenant"]) == (200, "admin", None)
    assert almost.status_code == 401


async def test_the_program_that_has_a_gateway_in_it_is_local_always(settings: Settings) -> None:
    changed = settings.model_copy(update={"kg_auth_required": True, "allow_tenant_header": False})
    async with guarded_of(changed, is_private=True) as client:
        without = await client.get("/v1/whoami")
        with_bad = await client.get("/v1/whoami", headers={"authorization": "Bearer sesame"})

    assert [(each.status_code, each.json()["kind"], each.json()["tenant"]) for each in (without, with_bad)] == [
        (200, "local", "default")
    ] * 2


async def test_metrics_need_a_right_where_tokens_are_needed(open_guarded: OpenGuarded, tokens: Tokens) -> None:
    guarded = await open_guarded(gateway_metrics=True)
    operator, viewer = await tokens.make_operator(), await tokens.make(Role.VIEWER)

    answers = [await guarded.get("/metrics", headers=headers) for headers in ({}, viewer.headers, operator.headers)]

    assert [answer.status_code for answer in answers] == [401, 403, 200]


async def test_metrics_are_open_where_nobody_is_asked(open_gateway: OpenGateway) -> None:
    gateway = await open_gateway(gateway_metrics=True)

    assert (await gateway.get("/metrics")).status_code == 200


async def test_no_token_is_stored_or_shown_in_a_list(guarded: httpx2.AsyncClient, tokens: Tokens, rows: Rows) -> None:
    made = await tokens.make()
    secret = made.token.removeprefix("argosy_t_")

    listed = await guarded.get("/v1/tokens", headers=made.headers)
    stored = await rows.connection.fetch("SELECT * FROM tokens WHERE token_id = $1", made.token_id)

    assert len(listed.json()["tokens"]) == 1
    for text in (listed.text, str([dict(row) for row in stored])):
        assert secret[8:] not in text
    assert hashlib.sha256(b"argosy-token\0" + made.token.encode()).digest() == stored[0]["hash"]


async def test_when_a_token_was_last_used_is_written(guarded: httpx2.AsyncClient, tokens: Tokens) -> None:
    made = await tokens.make()
    await guarded.get("/v1/whoami", headers=made.headers)
    await guarded.state.identity.cache.write_uses()  # type: ignore[attr-defined]

    (listed,) = (await guarded.get("/v1/tokens", headers=made.headers)).json()["tokens"]

    assert listed["last_used_at"] is not None


async def test_for_a_known_token_nothing_is_made_and_nobody_is_asked(
    guarded: httpx2.AsyncClient, tokens: Tokens
) -> None:
    made = await tokens.make()
    assert (await guarded.get("/v1/whoami", headers=made.headers)).status_code == 200
    authenticator: Authenticator = guarded.state.identity.authenticator  # type: ignore[attr-defined]
    headers = [(b"host", b"localhost"), (b"user-agent", b"x"), (b"accept", b"*/*"), (b"content-type", b"a/b")]
    scope = {"headers": [*headers, (b"authorization", made.headers["authorization"].encode())]}

    assert authenticator.known(scope) is authenticator.known(scope)


def test_the_headers_of_identity_are_read_in_one_place() -> None:
    """Routes get a principal, and no other code looks at what it was made from."""
    folder = Path(authenticate.__file__).parent
    read = re.compile(r"""["'](authorization|cookie|x-argosy-tenant)["']""", re.IGNORECASE)
    found = {
        str(path.relative_to(folder))
        for path in folder.rglob("*.py")
        for line in path.read_text().splitlines()
        if read.search(line)
    }

    assert found == {"authenticate.py", "http_head.py", "login_cookie.py", "login_grant.py", "openapi_plain.py"}
    assert api_token.is_token(mint(TokenKind.ADMIN))
