"""A tenant has limits of its own: who sets them, and that they hold."""

import httpx2
import pytest

from argosy.identity.scopes import Role
from tests.gateway.identity.tokens import Tokens

ECHO = {"workflow": "echo"}


@pytest.mark.usefixtures("alone")
async def test_an_administrator_gives_a_tenant_limits_and_takes_them_away(
    guarded: httpx2.AsyncClient, tokens: Tokens
) -> None:
    admin = (await tokens.make_operator(Role.ADMIN)).headers
    mine = (await tokens.make(tenant=tokens.tenant)).headers
    path = f"/v1/tenants/{tokens.tenant}"

    before = await guarded.post("/v1/sessions/s/turns", json=ECHO, headers=mine)
    given = await guarded.patch(path, json={"limits": {"turns_per_s": 0.01, "turns_burst": 2}}, headers=admin)
    turns = [await guarded.post("/v1/sessions/s/turns", json=ECHO, headers=mine) for _ in range(3)]
    more = await guarded.patch(path, json={"limits": {"streams": 9, "turns_burst": None}}, headers=admin)
    listed = await guarded.get("/v1/tenants?limit=200", headers=admin)
    none = await guarded.patch(path, json={"limits": {"turns_per_s": None, "streams": None}}, headers=admin)
    after = await guarded.post("/v1/sessions/s/turns", json=ECHO, headers=mine)
    told = (await guarded.get("/v1/audit?limit=50", headers=admin | {"x-argosy-tenant": tokens.tenant})).json()

    assert (before.status_code, after.status_code) == (202, 202)
    assert given.json()["limits"] == {"turns_per_s": 0.01, "turns_burst": 2}
    assert [answer.status_code for answer in turns] == [202, 202, 429]
    assert more.json()["limits"] == {"turns_per_s": 0.01, "streams": 9}
    assert more.json()["limits"] in [each["limits"] for each in listed.json()["tenants"]]
    assert none.json()["limits"] == {}
    said = [each for each in told["entries"] if each["action"] == "tenant.limits"]
    assert len(said) == 3
    assert '"turns_per_s":0.01' in said[-1]["reason"]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"state": "active", "limits": {"streams": 1}},
        {"limits": {"turns_per_s": -1}},
        {"limits": {"turns_per_s": 1e9}},
        {"limits": {"streams": 0}},
        {"limits": {"streams": 1.5}},
        {"limits": {"lunches_per_s": 1}},
        {"limits": 5},
    ],
)
async def test_limits_that_cannot_be_are_refused(
    guarded: httpx2.AsyncClient, tokens: Tokens, change: dict[str, object]
) -> None:
    admin = (await tokens.make_operator(Role.ADMIN)).headers

    answer = await guarded.patch(f"/v1/tenants/{tokens.tenant}", json=change, headers=admin)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
