"""Login sessions: what one may do, and when its cookie counts."""

import uuid
from typing import Final

import pytest

from argosy.config import Settings
from argosy.identity.api_token import TokenKind, digest, mint
from argosy.identity.scopes import Role, Scope
from argosy.store.audit import list_audit
from argosy.store.pool import open_pool
from tests.gateway.identity.browser_page import SAME_ORIGIN, TOUCHED, Page
from tests.gateway.identity.logins import Near, until
from tests.gateway.identity.refusals import problem
from tests.gateway.identity.tokens import Tokens

ADMIN: Final = "an-administrators-token-of-a-deployment"


async def test_who_hands_in_a_token_has_its_rights_by_a_cookie_that_no_script_reads(near: Near, tokens: Tokens) -> None:
    page, made = Page(await near()), await tokens.make(Role.USER)

    answer = await page.sign_in(made.token)
    who = (await page.ask("GET", "/v1/whoami")).json()

    assert answer.status_code == 201
    assert made.token not in answer.text
    (given,) = page.given
    secret = page.cookies["argosy"]
    assert given == f"argosy={secret}; Path=/; HttpOnly; SameSite=Strict"
    assert secret.startswith("argosy_s_")
    assert (who["kind"], who["tenant"], who["role"]) == ("login", tokens.tenant, "user")
    assert (who["id"], who["token_id"]) == (str(made.token_id), str(made.token_id))
    assert answer.json() == who
    posted = await page.ask("POST", "/v1/sessions/s/turns", json={"workflow": "echo", "input": 1})
    refused = await page.ask("POST", "/v1/turns:resume?workflow=echo")
    assert posted.status_code == 202
    assert (problem(refused), refused.json()["scope"]) == ((403, "insufficient_scope"), Scope.TURNS_RESUME)


async def test_a_cookie_counts_in_requests_of_the_consoles_own_page_alone(near: Near, tokens: Tokens) -> None:
    page, made = Page(await near()), await tokens.make()
    await page.sign_in(made.token)

    for headers, reads, writes in (
        (SAME_ORIGIN | TOUCHED, 200, 202),
        (SAME_ORIGIN, 200, 403),
        ({"sec-fetch-site": "none"}, 200, 403),
        ({"sec-fetch-site": "none"} | TOUCHED, 200, 403),
        ({"sec-fetch-site": "same-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}, 403, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}, 403, 403),
        ({"sec-fetch-site": "same-site"} | TOUCHED, 403, 403),
        ({"sec-fetch-site": "cross-site"} | TOUCHED, 403, 403),
        (TOUCHED, 403, 403),
        ({}, 403, 403),
        (SAME_ORIGIN | {"x-argosy-console": "yes"}, 200, 403),
        (SAME_ORIGIN | TOUCHED | {"origin": "http://localhost:8080"}, 403, 403),
    ):
        read = await page.ask_plainly("GET", "/v1/whoami", headers=headers)
        written = await page.ask_plainly(
            "POST", "/v1/sessions/s/turns", headers=headers, json={"workflow": "echo", "input": 1}
        )
        left = await page.ask_plainly("POST", "/v1/logout", headers=headers) if writes == 403 else written
        assert (read.status_code, written.status_code, left.status_code) == (reads, writes, writes), headers
        for answer in (read, written, left):
            assert answer.status_code < 400 or answer.json()["code"] == "foreign_origin"
    assert await page.code() == "good"


async def test_a_request_has_one_credential(near: Near, tokens: Tokens) -> None:
    page, made = Page(await near()), await tokens.make()
    await page.sign_in(made.token)

    both = await page.ask("GET", "/v1/whoami", headers=made.headers)
    page.cookies["other"] = "of something else"

    assert problem(both) == (400, "invalid_parameter")
    assert await page.code() == "good"
    bearer = await page.client.get("/v1/whoami", headers={"authorization": f"Bearer {page.cookies['argosy']}"})
    assert problem(bearer) == (401, "invalid_token")


async def test_two_cookies_of_one_name_are_none(near: Near, tokens: Tokens) -> None:
    page, made = Page(await near()), await tokens.make()
    await page.sign_in(made.token)
    secret = page.cookies["argosy"]
    page.cookies.clear()

    for cookie in (f"argosy={secret}; argosy=x", f"argosy=x; argosy={secret}"):
        answer = await page.ask("GET", "/v1/whoami", headers={"cookie": cookie})
        assert problem(answer) == (400, "invalid_parameter")


async def test_a_bad_cookie_is_refused_whether_or_not_a_credential_is_needed(near: Near) -> None:
    for changes in ({}, {"kg_auth_required": False}):
        client = await near(**changes)
        for secret in ("x", "", mint(TokenKind.LOGIN), mint(TokenKind.TENANT), "argosy_s_" + "0" * 49):
            assert await Page(client, {"argosy": secret}).code() == "invalid_token"


@pytest.mark.parametrize("is_admin_token", [True, False])
async def test_an_administrators_login_acts_for_the_tenant_that_was_named(
    near: Near, tokens: Tokens, settings: Settings, is_admin_token: bool
) -> None:
    client = await near(argosy_admin_token=ADMIN)
    token = ADMIN if is_admin_token else (await tokens.make_operator(Role.ADMIN)).token
    page, free = Page(client), Page(client)
    nobody = await page.sign_in(token, tenant="nobody-of-that-name")
    await page.sign_in(token, tenant=tokens.tenant)
    await free.sign_in(token)

    who = (await page.ask("GET", "/v1/whoami")).json()
    named = (await free.ask("GET", "/v1/whoami", headers={"x-argosy-tenant": tokens.tenant})).json()

    assert problem(nobody) == (404, "tenant_not_found")
    assert (who["tenant"], who["acts_as"], who["kind"]) == (tokens.tenant, True, "login")
    assert (named["tenant"], named["acts_as"]) == (tokens.tenant, True)
    assert (await free.ask("GET", "/v1/whoami")).json()["tenant"] is None
    assert await page.code("/v1/sessions") == "good"
    assert await free.code("/v1/sessions") == "tenant_required"
    async with open_pool(settings, settings.state_db_uri) as pool:
        told = [row.act for row in await list_audit(pool, tokens.tenant, None, 100)]
    assert ("tenant.act_as", "login") in {(each.action, each.actor_kind) for each in told}


async def test_a_tenants_login_acts_for_no_other(near: Near, tokens: Tokens) -> None:
    page, made = Page(await near()), await tokens.make()
    other = f"o-{uuid.uuid4().hex[:8]}"
    await tokens.make_tenant(other)

    assert problem(await page.sign_in(made.token, tenant=other)) == (403, "insufficient_scope")
    await page.sign_in(made.token)
    answer = await page.ask("GET", "/v1/sessions", headers={"x-argosy-tenant": other})
    assert problem(answer) == (403, "insufficient_scope")


async def test_a_suspended_tenants_login_reads_and_changes_nothing(near: Near, tokens: Tokens) -> None:
    page = Page(await near())
    await page.sign_in((await tokens.make()).token)
    await tokens.suspend(tokens.tenant)

    async def code() -> str:
        answer = await page.ask("POST", "/v1/sessions/s/turns", json={"workflow": "echo", "input": 1})
        return str(answer.json().get("code"))

    await until(code, "tenant_suspended")
    assert await page.code() == "good"


async def test_no_cache_keeps_what_a_cookie_shows(near: Near, tokens: Tokens) -> None:
    page = Page(await near())
    signed_in = await page.sign_in((await tokens.make()).token)

    for answer in (signed_in, await page.ask("GET", "/v1/whoami"), await page.ask("POST", "/v1/logout")):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["vary"] == "Authorization, Cookie"


async def test_no_secret_is_in_the_database(near: Near, tokens: Tokens, settings: Settings) -> None:
    page = Page(await near())
    await page.sign_in((await tokens.make()).token)
    secret = page.cookies["argosy"]

    async with open_pool(settings, settings.state_db_uri) as pool:
        stored = await pool.fetchval("SELECT l::text FROM logins AS l WHERE l.hash = $1", digest(secret))
        audit = await pool.fetch("SELECT a::text FROM audit AS a")
    assert secret not in stored
    assert all(secret not in row[0] for row in audit)
