"""Tenants deleted through a gateway: asked for once, followed to the end, and nobody is let in from then on."""

import asyncio

import httpx2
import pytest

from argosy.identity.scopes import Role
from tests.gateway.conftest import OpenGateway
from tests.gateway.identity.conftest import OpenGuarded
from tests.gateway.identity.test_tokens import problem
from tests.gateway.identity.tokens import Tokens


async def test_a_tenant_is_deleted_once_and_its_erasure_is_shown(guarded: httpx2.AsyncClient, tokens: Tokens) -> None:
    admin, name = (await tokens.make_operator(Role.ADMIN)).headers, tokens.tenant
    own = await tokens.make()
    assert (await guarded.get("/v1/whoami", headers=own.headers)).status_code == 200

    first = await guarded.delete(f"/v1/tenants/{name}?confirm={name}", headers=admin)
    own_later = await guarded.get("/v1/whoami", headers=own.headers)
    again = await guarded.delete(f"/v1/tenants/{name}?confirm={name}", headers=admin)
    shown = await guarded.get(first.json()["links"]["self"], headers=admin)
    listed = {
        each["name"]: each["state"]
        for each in (await guarded.get("/v1/tenants?limit=200", headers=admin)).json()["tenants"]
    }
    made = await guarded.post("/v1/tenants", json={"name": name}, headers=admin)
    let_go = await guarded.patch(f"/v1/tenants/{name}", json={"state": "active"}, headers=admin)
    acting = await guarded.get("/v1/erasures", headers=admin | {"x-argosy-tenant": name})

    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json() == shown.json()
    assert (first.json()["kind"], first.json()["status"]) == ("tenant", "running")
    assert first.json()["links"]["self"] == f"/v1/tenants/{name}/erasure"
    assert problem(own_later) == (401, "invalid_token")
    assert listed[name] == "deleted"
    assert problem(made) == (409, "tenant_exists")
    assert "is being deleted" in made.json()["detail"]
    assert problem(let_go) == problem(acting) == (404, "tenant_not_found")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/tenants/{}", 422, "unconfirmed"),
        ("/v1/tenants/{}?confirm=other", 422, "unconfirmed"),
        ("/v1/tenants/{}-no?confirm={}-no", 404, "tenant_not_found"),
        ("/v1/tenants/-?confirm=-", 404, "tenant_not_found"),
        ("/v1/tenants/default?confirm=default", 422, "invalid_request"),
    ],
)
async def test_what_is_not_deleted_stays(
    guarded: httpx2.AsyncClient, tokens: Tokens, path: str, status: int, code: str
) -> None:
    admin, own = await tokens.make_operator(Role.ADMIN), await tokens.make()

    answer = await guarded.delete(path.replace("{}", tokens.tenant), headers=admin.headers)
    none = await guarded.get(f"/v1/tenants/{tokens.tenant}/erasure", headers=admin.headers)

    assert problem(answer) == (status, code)
    assert problem(none) == (404, "erasure_not_found")
    assert (await guarded.get("/v1/whoami", headers=own.headers)).status_code == 200


@pytest.mark.parametrize("role", [Role.TENANT, Role.OPERATOR])
async def test_only_administrators_delete_tenants(guarded: httpx2.AsyncClient, tokens: Tokens, role: Role) -> None:
    made = await tokens.make(role) if role is Role.TENANT else await tokens.make_operator(role)
    name = tokens.tenant

    answers = [
        await guarded.delete(f"/v1/tenants/{name}?confirm={name}", headers=made.headers),
        await guarded.get(f"/v1/tenants/{name}/erasure", headers=made.headers),
    ]

    assert [problem(each) for each in answers] == [(403, "insufficient_scope")] * 2


async def test_where_nobody_is_asked_a_deleted_tenant_is_not_there_either(
    open_gateway: OpenGateway, tokens: Tokens
) -> None:
    name = tokens.tenant
    client = await open_gateway(gateway_cache_s=0.1)
    stranger = {"x-argosy-tenant": name}
    before = await client.get("/v1/sessions", headers=stranger)
    await client.delete(f"/v1/tenants/{name}?confirm={name}", headers={"x-argosy-tenant": "default"})
    after = [await client.get(path, headers=stranger) for path in ("/v1/sessions", "/v1/whoami")]

    assert before.status_code == 200
    assert [problem(each) for each in after] == [(404, "tenant_not_found")] * 2


async def test_streams_of_whoever_acts_for_it_end_and_another_gateway_hears_of_it(
    open_guarded: OpenGuarded, tokens: Tokens
) -> None:
    one, other = await open_guarded(gateway_cache_s=0.1), await open_guarded(gateway_cache_s=0.1)
    admin, own, name = (await tokens.make_operator(Role.ADMIN)).headers, await tokens.make(), tokens.tenant
    acting = admin | {"x-argosy-tenant": name}
    following = asyncio.create_task(
        other.get("/v1/sessions/s/events", headers=acting | {"accept": "text/event-stream"})
    )
    async with asyncio.timeout(5):
        while other.state.identity.open_requests.count == 0:  # type: ignore[attr-defined]  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    assert (await one.delete(f"/v1/tenants/{name}?confirm={name}", headers=admin)).status_code == 202

    ended = await asyncio.wait_for(following, 3)
    assert "tenant_not_found" in ended.text
    assert problem(await other.get("/v1/whoami", headers=own.headers)) == (401, "invalid_token")
    assert problem(await other.get("/v1/sessions", headers=acting)) == (404, "tenant_not_found")
