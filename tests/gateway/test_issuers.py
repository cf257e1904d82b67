"""Access tokens of a real OpenID provider at a real gateway: who is let in, and what a change of keys does."""

import asyncio
import contextlib
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs

from argosy import config
from argosy.config import Settings
from argosy.config.issuers import TrustedIssuer
from argosy.errors import SettingError
from argosy.gateway.app import create_app
from argosy.gateway.identity import warn_of_any_tenant
from argosy.identity.errors import TenantExistsError
from argosy.identity.scopes import SCOPES_OF, Role, Scope
from argosy.secret import SECRET_FILE_NAME
from argosy.store.audit import Act, list_audit
from argosy.store.identity import Identities
from argosy.store.pool import open_pool
from tests.gateway.graph_shard import shard_served
from tests.harness.hand_clock import AheadClock
from tests.identity.openid_provider import OpenIdProvider

TURN = {"workflow": "echo", "input": 1}
ASKED_AGAIN_S = 31.0  # an issuer is not asked for a missing key more often

Opened = Callable[..., AbstractAsyncContextManager[httpx2.AsyncClient]]


@pytest.fixture
def issuer(tmp_path: Path) -> Iterator[OpenIdProvider]:
    issuer = OpenIdProvider(tmp_path)
    issuer.start()
    yield issuer
    issuer.stop()


@pytest.fixture
def clock() -> AheadClock:
    return AheadClock()


@pytest.fixture
def trusting(gateway_dsn: str, tmp_path: Path, issuer: OpenIdProvider) -> Settings:
    return config.load(
        {"AUTH_JWT_ISSUER": issuer.issuer, "AUTH_JWT_AUDIENCE": "argosy", "AUTH_JWT_ROLE_MAP": '{"staff": "user"}'},
        state_db_uri=gateway_dsn,
        argosy_data_dir=tmp_path / "data",
        kg_auth_required=True,
    )


@pytest.fixture
def opened(trusting: Settings, clock: AheadClock) -> Opened:
    @contextlib.asynccontextmanager
    async def opening(**changes: Any) -> AsyncIterator[httpx2.AsyncClient]:
        async with open_pool(trusting, trusting.state_db_uri) as pool:
            with contextlib.suppress(TenantExistsError):
                await Identities(pool, 10).create_tenant("acme", Act("test", "", None, None, "tenant.create"))
        app = create_app(trusting.model_copy(update=changes), clock)
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://localhost", timeout=30) as client,
        ):
            yield client

    return opening


def bearing(token: str, **more: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}", **more}


async def code_of(client: httpx2.AsyncClient, token: str, **more: str) -> str:
    """Return the code with which a gateway refuses to say who one is; `good`, if it does not."""
    answer = await client.get("/v1/whoami", headers=bearing(token, **more))
    return "good" if answer.status_code == 200 else str(answer.json()["code"])


async def test_an_agent_of_a_tenant_does_what_its_roles_and_scopes_allow(
    opened: Opened, issuer: OpenIdProvider
) -> None:
    token = await asyncio.to_thread(issuer.token, "agent-of-acme")
    more = await asyncio.to_thread(issuer.token, "agent-of-acme", scope="turns:resume")
    async with opened() as client:
        who = (await client.get("/v1/whoami", headers=bearing(token))).json()
        posted = await client.post("/v1/sessions/s/turns", json=TURN, headers=bearing(token))
        turn = f"/v1/turns/{posted.json()['turn_id']}"
        read = await client.get(turn, headers=bearing(token))
        refused = await client.post("/v1/turns:resume?workflow=echo", headers=bearing(token))
        resumed = await client.post("/v1/turns:resume?workflow=echo", headers=bearing(more))

    assert (who["kind"], who["tenant"]) == ("jwt", "acme")
    assert who["labels"] == [f"user:{who['id']}", "role:user", f"role:{issuer.issuer}|staff"]
    assert set(who["scopes"]) == SCOPES_OF[Role.USER]
    assert (posted.status_code, read.status_code) == (202, 200)
    assert (refused.status_code, refused.json()["scope"]) == (403, Scope.TURNS_RESUME)
    assert resumed.status_code == 202


async def test_an_issuer_that_is_away_for_half_of_what_makes_its_keys_stale_is_named_by_a_gateway_that_is_ready(
    opened: Opened, issuer: OpenIdProvider, clock: AheadClock
) -> None:
    async with opened(kg_auth_required=False, auth_jwks_stale_s_max=1_000.0) as client:
        clock.ahead_s += 600  # longer than half of that, but nobody has looked for the issuer since
        there = (await client.get("/readyz")).json()
    await asyncio.to_thread(issuer.stop)
    async with opened(kg_auth_required=False, auth_jwks_stale_s_max=1_000.0) as client:
        soon = (await client.get("/readyz")).json()
        clock.ahead_s += 501
        later = await client.get("/readyz")

    assert (there["ready"], "issuers_away" in there, "issuers_away" in soon) == (True, False, False)
    assert later.status_code == 200
    assert list(later.json()["issuers_away"]) == [issuer.issuer]
    assert 500 < later.json()["issuers_away"][issuer.issuer] < 600


async def test_a_token_is_for_its_own_tenant_and_no_other(opened: Opened, issuer: OpenIdProvider) -> None:
    acme, zeta, nobody = [
        await asyncio.to_thread(issuer.token, f"agent-of-{tenant}") for tenant in ("acme", "zeta", "nobody")
    ]
    elsewhere = await asyncio.to_thread(issuer.token, "agent-of-acme", resource="https://somebody-else")
    async with opened() as client:
        assert await code_of(client, acme) == "good"
        assert await code_of(client, acme, **{"x-argosy-tenant": "acme"}) == "good"
        assert await code_of(client, acme, **{"x-argosy-tenant": "default"}) == "insufficient_scope"
        assert await code_of(client, zeta) == "tenant_unknown"
        assert await code_of(client, nobody) == "invalid_token"
        assert await code_of(client, elsewhere) == "invalid_token"
        assert await code_of(client, acme[:-1] + ("A" if acme[-1] != "A" else "Q")) == "invalid_token"
        assert await code_of(client, "a.b.c") == "invalid_token"


async def test_a_token_is_for_no_tenant_that_is_not_its_issuers(
    opened: Opened, issuer: OpenIdProvider, trusting: Settings
) -> None:
    """It is refused as if there were no such tenant, and the audit says why."""
    token = await asyncio.to_thread(issuer.token, "agent-of-acme")
    async with opened(auth_jwt_tenants=("zeta", "ac*")) as client:
        assert await code_of(client, token) == "good"
    async with opened(auth_jwt_tenants=("zeta",)) as client:
        assert await code_of(client, token) == "tenant_unknown"
        assert await code_of(client, token, **{"x-argosy-tenant": "acme"}) == "tenant_unknown"
        assert await code_of(client, token, **{"x-argosy-tenant": "zeta"}) == "insufficient_scope"

    async with open_pool(trusting, trusting.state_db_uri) as pool:
        told = {(row.act.actor_id, row.act.reason) for row in await list_audit(pool, "acme", None, 50)}
    assert (f"{issuer.issuer}|agent-of-acme", "tenant_of_others") in told


def test_it_is_said_which_of_several_issuers_may_be_for_any_tenant() -> None:
    own: list[dict[str, Any]] = [{}, {"tenants": ["a"]}, {"admin": True}, {"tenants": "*"}]
    issuers = [
        TrustedIssuer(issuer=f"https://{number}.example", audience="argosy", **each) for number, each in enumerate(own)
    ]
    with capture_logs() as logged:
        warn_of_any_tenant(issuers[:1])
        assert logged == []
        warn_of_any_tenant(issuers)
    assert [(each["event"], each["issuer"]) for each in logged] == [("issuer.of_any_tenant", "https://0.example")]


async def test_a_new_key_is_good_at_once_and_an_old_one_until_it_is_dropped(
    opened: Opened, issuer: OpenIdProvider, clock: AheadClock
) -> None:
    old = await asyncio.to_thread(issuer.token, "agent-of-acme")
    async with opened() as client:
        assert await code_of(client, old) == "good"
        await restarted(issuer, add="second")
        new = await asyncio.to_thread(issuer.token, "agent-of-acme")
        clock.ahead_s += ASKED_AGAIN_S
        assert await code_of(client, new) == "good"
        assert await code_of(client, old) == "good"

        await restarted(issuer, add="third", drop="first")
        newest = await asyncio.to_thread(issuer.token, "agent-of-acme")
        clock.ahead_s += ASKED_AGAIN_S
        assert await code_of(client, newest) == "good"
        assert await code_of(client, new) == "good"
        assert await code_of(client, old) == "invalid_token"


async def test_a_stream_ends_when_the_issuer_takes_its_key_back(
    opened: Opened, issuer: OpenIdProvider, clock: AheadClock
) -> None:
    old = await asyncio.to_thread(issuer.token, "agent-of-acme")
    async with opened() as client:
        stream = asyncio.ensure_future(
            client.get("/v1/sessions/quiet/events", headers=bearing(old, accept="text/event-stream"))
        )
        done, _ = await asyncio.wait({stream}, timeout=1)
        assert not done
        await restarted(issuer, add="second", drop="first")
        clock.ahead_s += ASKED_AGAIN_S

        assert await code_of(client, await asyncio.to_thread(issuer.token, "agent-of-acme")) == "good"
        ended = await asyncio.wait_for(stream, 10)

    assert "invalid_token" in ended.text


async def test_while_the_issuer_is_away_its_tokens_are_good_and_a_gateway_starts_from_the_copy(
    opened: Opened, issuer: OpenIdProvider, clock: AheadClock
) -> None:
    first, second = [await asyncio.to_thread(issuer.token, "agent-of-acme") for _ in range(2)]
    async with opened() as client:
        assert await code_of(client, first) == "good"
        await asyncio.to_thread(issuer.stop)
        assert await code_of(client, second) == "good"

    async with opened() as client:
        assert await code_of(client, first) == "good"


async def test_a_gateway_that_requires_tokens_does_not_start_without_the_keys_of_its_issuer(
    opened: Opened, issuer: OpenIdProvider
) -> None:
    await asyncio.to_thread(issuer.stop)

    with pytest.raises(SettingError, match="AUTH_JWT_JWKS_URI"):
        async with opened():
            pass
    async with opened(kg_auth_required=False) as client:
        assert (await client.get("/v1/whoami")).json()["kind"] == "local"
        assert await code_of(client, "a.b.c") == "invalid_token"


async def restarted(issuer: OpenIdProvider, *, add: str, drop: str | None = None) -> None:
    issuer.stop()
    issuer.add_key(add)
    if drop is not None:
        issuer.drop_key(drop)
    await asyncio.to_thread(issuer.start)


async def test_the_secured_rung_of_the_ladder_verifies_as_it_says(
    opened: Opened, trusting: Settings, issuer: OpenIdProvider, tmp_path: Path
) -> None:
    """Health stays open; without a token 401; with one of the issuer 200; the secret is this user's alone."""
    enforced = trusting.model_copy(update={"kg_brain_enforce": True})
    query = {"cypher": "MATCH (n) RETURN count(n) AS n"}
    async with shard_served(enforced, tmp_path / "shard"), opened(kg_brain_enforce=True) as client:
        every = "graphs:read graphs:write graphs:admin"
        boss = bearing(await asyncio.to_thread(issuer.token, "agent-of-acme", scope=every))
        reader = bearing(await asyncio.to_thread(issuer.token, "agent-of-acme", scope="graphs:read"))
        await client.post("/v1/graphs", json={"graph": "kg"}, headers=boss)

        assert (await client.get("/healthz")).status_code == 200
        assert (await client.post("/v1/graphs/kg/query", json=query)).status_code == 401
        answer = await client.post("/v1/graphs/kg/query", json=query, headers=boss)
        assert (answer.status_code, answer.json()["rows"]) == (200, [[0]])
        denied = await client.post("/v1/graphs/kg/query", json=query, headers=reader)
        assert (denied.status_code, denied.json()["code"]) == (403, "graph_forbidden")
        acl = {"acl": {"read": [f"user:{issuer.issuer}|agent-of-acme"]}}
        assert (await client.put("/v1/graphs/kg/acl", json=acl, headers=boss)).status_code == 200
        assert (await client.post("/v1/graphs/kg/query", json=query, headers=reader)).status_code == 200
        for role, status in (("staff", 403), ("user", 200), (f"{issuer.issuer}|staff", 200), ("x|staff", 403)):
            acl = {"acl": {"read": [f"role:{role}"]}}
            assert (await client.put("/v1/graphs/kg/acl", json=acl, headers=boss)).status_code == 200
            assert (await client.post("/v1/graphs/kg/query", json=query, headers=reader)).status_code == status, role

    assert stat.S_IMODE((trusting.argosy_data_dir / SECRET_FILE_NAME).stat().st_mode) == 0o600
