"""The routes of tokens, tenants and the audit: nobody gets, or hands on, a right that is not theirs."""

import asyncio
import uuid
from typing import Any, Final

import httpx2
import pytest

from argosy.identity.api_token import is_token
from argosy.identity.scopes import SCOPES_OF, Role
from tests.gateway.conftest import OpenGateway
from tests.gateway.identity.tokens import Tokens

NAMED: Final = {"name": "of a test"}


def problem(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def who(client: httpx2.AsyncClient, token: str) -> dict[str, Any]:
    answer = await client.get("/v1/whoami", headers={"authorization": f"Bearer {token}"})
    said: dict[str, Any] = answer.json()
    return {"status": answer.status_code} | said


async def test_a_token_is_made_and_shown_once(guarded: httpx2.AsyncClient, tokens: Tokens) -> None:
    made = await tokens.make()

    answer = await guarded.post("/v1/tokens", json=NAMED | {"role": "user"}, headers=made.headers)
    token = answer.json()["token"]
    listed = await guarded.get("/v1/tokens", headers=made.headers)

    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    assert is_token(token)
    assert token.startswith("argosy_t_")
    assert token not in listed.text
    said = await who(guarded, token)
    assert (said["tenant"], said["role"]) == (tokens.tenant, "user")
    shown = next(each for each in listed.json()["tokens"] if each["token_id"] == answer.json()["token_id"])
    assert (shown["name"], shown["created_by"], shown["hint"]) == (NAMED["name"], str(made.token_id), token[9:13])


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({}, 422, "invalid_request"),
        ({"role": "admin"}, 422, "invalid_request"),
        ({"scopes": ["fleet:read"]}, 422, "invalid_request"),
        ({"scopes": ["turns:eat"]}, 422, "invalid_request"),
        ({"role": "captain"}, 422, "invalid_request"),
        ({"role": "user", "lifetime_s": 1e12}, 422, "invalid_request"),
        ({"role": "user", "lifetime_s": 0}, 422, "invalid_request"),
        ({"role": "user", "sessions": []}, 422, "invalid_request"),
        ({"role": "user", "sessions": ["s"] * 33}, 422, "invalid_request"),
        ({"role": "user", "sessions": ["a\0b"]}, 422, "invalid_request"),
        ({"role": "user", "tenant": "another"}, 422, "invalid_request"),
        ({"role": "user", "name": ""}, 422, "invalid_request"),
        ({"role": "user", "name": "n" * 201}, 422, "invalid_request"),
        ({"role": "tenant"}, 403, "insufficient_scope"),
        ({"scopes": ["graphs:write"]}, 403, "insufficient_scope"),
    ],
)
async def test_a_token_has_no_more_than_its_maker(
    guarded: httpx2.AsyncClient, tokens: Tokens, asked: dict[str, Any], status: int, code: str
) -> None:
    maker = await tokens.make(Role.USER, scopes=["tokens:write"])

    answer = await guarded.post("/v1/tokens", json=NAMED | asked, headers=maker.headers)

    assert problem(answer) == (status, code)


async def test_rotating_a_token_hands_on_no_right_that_one_lacks(guarded: httpx2.AsyncClient, tokens: Tokens) -> None:
    mighty = await tokens.make(Role.TENANT)
    lowly = await tokens.make(None, scopes=["tokens:write"])

    answer = await guarded.post(f"/v1/tokens/{mighty.token_id}/rotate", headers=lowly.headers)

    assert problem(answer) == (403, "insufficient_scope")


@pytest.mark.parametrize("limit", ["sessions", "workflows"])
async def test_a_limited_token_makes_no_other(guarded: httpx2.AsyncClient, tokens: Tokens, limit: str) -> None:
    limited = await tokens.make(Role.TENANT, **{limit: ["support-*"]})  # type: ignore[arg-type]
    other = await tokens.make(Role.VIEWER)

    made = await guarded.post("/v1/tokens", json=NAMED | {"role": "user"}, headers=limited.headers)
    rotated = await guarded.post(f"/v1/tokens/{other.token_id}/rotate", headers=limited.headers)

    assert [problem(answer) for answer in (made, rotated)] == [(403, "insufficient_scope")] * 2


async def test_a_token_and_its_successor_overlap(guarded: httpx2.AsyncClient, tokens: Tokens) -> None:
    old = await tokens.make()

    answer = await guarded.post(f"/v1/tokens/{old.token_id}/rotate", json={"overlap_s": 1.0}, headers=old.headers)
    new = answer.json()["token"]
    again = await guarded.post(f"/v1/tokens/{old.token_id}/rotate", headers={"authorization": f"Bearer {new}"})
    both = [await who(guarded, old.token), await who(guarded, new)]
    await asyncio.sleep(1.1)
    later = [await who(guarded, old.token), await who(guarded, new)]

    assert answer.status_code == 201
    assert problem(again) == (409, "token_rotated")
    assert [each["status"] for each in both] == [200, 200]
    assert [each["status"] for each in later] == [401, 200]
    assert both[0]["scopes"] == both[1]["scopes"]


async def test_revoking_is_the_same_however_often(guarded: httpx2.AsyncClient, tokens: Tokens) -> None:
    made, other = await tokens.make(), await tokens.make()

    answers = [await guarded.delete(f"/v1/tokens/{other.token_id}", headers=made.headers) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [204, 204]
    assert (await who(guarded, other.token))["code"] == "invalid_token"


@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", "/v1/tokens/{}"), ("POST", "/v1/tokens/{}/rotate")]
)  # fmt: skip
async def test_another_tenants_token_is_none(
    guarded: httpx2.AsyncClient, tokens: Tokens, method: str, path: str
) -> None:
    await tokens.make_tenant(f"{tokens.tenant}-2")
    mine, theirs = await tokens.make(), await tokens.make(tenant=f"{tokens.tenant}-2")
    operators = await tokens.make_operator()

    answers = [
        await guarded.request(method, path.format(token_id), headers=mine.headers)
        for token_id in (theirs.token_id, operators.token_id, uuid.uuid4(), "no-id")
    ]

    assert [problem(answer) for answer in answers] == [(404, "token_not_found")] * 4
    assert (await who(guarded, theirs.token))["status"] == 200
    assert str(theirs.token_id) not in (await guarded.get("/v1/tokens", headers=mine.headers)).text


async def test_an_administrator_makes_tokens_of_the_installation_and_of_tenants_it_names(
    guarded: httpx2.AsyncClient, tokens: Tokens
) -> None:
    admin = await tokens.make_operator(Role.ADMIN)
    acting = admin.headers | {"x-argosy-tenant": tokens.tenant}

    own = await guarded.post("/v1/tokens", json=NAMED | {"role": "operator"}, headers=admin.headers)
    theirs = await guarded.post("/v1/tokens", json=NAMED | {"role": "tenant"}, headers=acting)
    unnamed = await guarded.post("/v1/tokens", json=NAMED | {"role": "tenant"}, headers=admin.headers)
    ended = await guarded.delete(f"/v1/tokens/{theirs.json()['token_id']}", headers=admin.headers)

    assert (await who(guarded, own.json()["token"]))["tenant"] is None
    assert own.json()["token"].startswith("argosy_a_")
    assert (theirs.status_code, theirs.json()["tenant"]) == (201, tokens.tenant)
    assert problem(unnamed) == (403, "tenant_required")
    assert ended.status_code == 204


async def test_tokens_of_the_installation_without_that_right_deal_with_no_tenants_tokens(
    guarded: httpx2.AsyncClient, tokens: Tokens
) -> None:
    maker = await tokens.make_operator(None, scopes=["tokens:read", "tokens:write"])
    made = await tokens.make()

    answers = [
        await guarded.get("/v1/tokens", headers=maker.headers),
        await guarded.delete(f"/v1/tokens/{made.token_id}", headers=maker.headers),
        await guarded.post("/v1/tokens", json=NAMED | {"role": "operator"}, headers=maker.headers),
    ]

    assert [problem(answer) for answer in answers] == [(403, "insufficient_scope")] * 3


async def test_so_many_tokens_are_made_in_a_minute(guarded: httpx2.AsyncClient, tokens: Tokens) -> None:
    made = await tokens.make()

    answers = [
        await guarded.post("/v1/tokens", json=NAMED | {"role": "viewer"}, headers=made.headers) for _ in range(12)
    ]

    assert [answer.status_code for answer in answers][:10] == [201] * 10
    assert problem(answers[-1]) == (429, "rate_limited")
    assert int(answers[-1].headers["retry-after"]) >= 1


async def test_lists_have_pages(guarded: httpx2.AsyncClient, tokens: Tokens) -> None:
    made = [await tokens.make() for _ in range(5)]
    headers, found, cursor = made[0].headers, [], ""
    while True:
        page = (await guarded.get(f"/v1/tokens?limit=2{cursor}", headers=headers)).json()
        found += [each["token_id"] for each in page["tokens"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    stranger = await guarded.get(
        f"/v1/tokens?limit=2{cursor}", headers=(await tokens.make_operator(Role.ADMIN)).headers
    )

    assert found == sorted(str(each.token_id) for each in made)
    assert problem(stranger) == (400, "invalid_cursor")


async def test_tenants_are_made_suspended_and_let_go_on(guarded: httpx2.AsyncClient, tokens: Tokens) -> None:
    admin = (await tokens.make_operator(Role.ADMIN)).headers
    name = f"{tokens.tenant}-new"

    made = await guarded.post("/v1/tenants", json={"name": name}, headers=admin)
    again = await guarded.post("/v1/tenants", json={"name": name}, headers=admin)
    bad = await guarded.post("/v1/tenants", json={"name": "a/b"}, headers=admin)
    token = await tokens.make(tenant=name)
    suspended = await guarded.patch(f"/v1/tenants/{name}", json={"state": "suspended"}, headers=admin)
    refused = await guarded.post("/v1/sessions/s/turns", json={"workflow": "echo"}, headers=token.headers)
    active = await guarded.patch(f"/v1/tenants/{name}", json={"state": "active"}, headers=admin)
    taken = await guarded.post("/v1/sessions/s/turns", json={"workflow": "echo"}, headers=token.headers)
    nobody = await guarded.patch(f"/v1/tenants/{name}-no", json={"state": "active"}, headers=admin)
    unsaid = await guarded.patch(f"/v1/tenants/{name}", json={"state": "deleted"}, headers=admin)
    listed = await guarded.get("/v1/tenants?limit=200", headers=admin)

    assert (made.status_code, made.json()["state"]) == (201, "active")
    assert problem(again) == (409, "tenant_exists")
    assert problem(bad) == (422, "invalid_request")
    assert (suspended.status_code, suspended.json()["state"]) == (200, "suspended")
    assert problem(refused) == (403, "tenant_suspended")
    assert active.json()["state"] == "active"
    assert taken.status_code == 202
    assert problem(nobody) == (404, "tenant_not_found")
    assert problem(unsaid) == (422, "invalid_request")
    assert "default" in [each["name"] for each in listed.json()["tenants"]]


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMIN])
async def test_tenants_are_for_administrators(guarded: httpx2.AsyncClient, tokens: Tokens, role: Role) -> None:
    of_tenant = role not in (Role.OPERATOR, Role.ADMIN)
    made = await tokens.make(role) if of_tenant else await tokens.make_operator(role)

    answers = [
        await guarded.get("/v1/tenants", headers=made.headers),
        await guarded.post("/v1/tenants", json={"name": "x"}, headers=made.headers),
        await guarded.patch("/v1/tenants/default", json={"state": "suspended"}, headers=made.headers),
    ]

    assert "tenants:write" not in SCOPES_OF[role]
    assert [problem(answer) for answer in answers] == [(403, "insufficient_scope")] * 3


async def test_the_audit_tells_each_tenant_its_own(guarded: httpx2.AsyncClient, tokens: Tokens) -> None:
    await tokens.make_tenant(f"{tokens.tenant}-2")
    mine, theirs = await tokens.make(), await tokens.make(tenant=f"{tokens.tenant}-2")
    admin = await tokens.make_operator(Role.ADMIN)
    made = (await guarded.post("/v1/tokens", json=NAMED | {"role": "user"}, headers=mine.headers)).json()
    await guarded.delete(f"/v1/tokens/{made['token_id']}", headers=mine.headers)

    told = (await guarded.get("/v1/audit", headers=mine.headers)).json()["entries"]
    others = (await guarded.get("/v1/audit", headers=theirs.headers)).json()["entries"]
    everything = (await guarded.get("/v1/audit?limit=200", headers=admin.headers)).json()["entries"]

    assert [(each["action"], each["target"], each["token_id"]) for each in told[:2]] == [
        ("token.revoke", made["token_id"], str(mine.token_id)),
        ("token.create", made["token_id"], str(mine.token_id)),
    ]
    assert told[0]["source"] == "192.0.2.7"
    assert {each["tenant"] for each in told} == {tokens.tenant}
    assert {each["tenant"] for each in others} == {f"{tokens.tenant}-2"}
    assert {tokens.tenant, f"{tokens.tenant}-2"} <= {each["tenant"] for each in everything}
    assert made["token"] not in str(everything)


async def test_a_page_of_the_audit_leads_to_the_next(guarded: httpx2.AsyncClient, tokens: Tokens) -> None:
    made = [await tokens.make() for _ in range(3)]
    first = (await guarded.get("/v1/audit?limit=2", headers=made[0].headers)).json()
    second = (await guarded.get(f"/v1/audit?limit=2&cursor={first['next']}", headers=made[0].headers)).json()

    numbers = [each["no"] for each in first["entries"] + second["entries"]]
    assert numbers == sorted(numbers, reverse=True)
    assert len(numbers) == 4, "a tenant and three tokens"


async def test_a_local_operator_lets_the_tenant_go_on_that_they_suspended(open_gateway: OpenGateway) -> None:
    operator = await open_gateway(allow_tenant_header=False)
    try:
        suspended = await operator.patch("/v1/tenants/default", json={"state": "suspended"})
        refused = await operator.post("/v1/tokens", json={"name": "one", "role": "viewer"})
    finally:
        let_go = await operator.patch("/v1/tenants/default", json={"state": "active"})

    assert suspended.status_code == 200
    assert problem(refused) == (403, "tenant_suspended")
    assert (let_go.status_code, let_go.json()["state"]) == (200, "active")
