"""Where and how somebody signs in: who is asked, what makes no login, and what the cookie is like."""

from typing import Final

from argosy.config import Settings
from argosy.identity.api_token import TokenKind, mint
from argosy.store.audit import list_audit
from argosy.store.pool import open_pool
from tests.gateway.identity.browser_page import SAME_ORIGIN, TOUCHED, Page
from tests.gateway.identity.conftest import OpenGuarded
from tests.gateway.identity.logins import Near
from tests.gateway.identity.refusals import problem
from tests.gateway.identity.tokens import Tokens

PUBLIC: Final = "https://argosy.example"


async def test_a_bad_token_makes_no_login_and_is_told_to_the_audit(
    near: Near, tokens: Tokens, settings: Settings
) -> None:
    page, revoked = Page(await near()), await tokens.make()
    await tokens.revoke(revoked)
    await page.client.state.identity.cache.refresh_after()  # type: ignore[attr-defined]

    for token in (revoked.token, mint(TokenKind.TENANT), mint(TokenKind.LOGIN), "sesame"):
        assert problem(await page.sign_in(token)) == (401, "invalid_token")
    assert page.cookies == {}
    good = await tokens.make()
    await page.sign_in(good.token)
    await page.ask("POST", "/v1/logout")
    await page.client.state.identity.audited.write()  # type: ignore[attr-defined]
    async with open_pool(settings, settings.state_db_uri) as pool:
        told = [row.act for row in await list_audit(pool, tokens.tenant, None, 100)]
        refused = [row.act for row in await list_audit(pool, None, None, 100) if row.act.outcome == "refused"]
    of_logins = [each for each in told if each.action in ("login", "logout")]
    assert [(each.action, each.outcome, each.token_id) for each in of_logins] == [
        ("logout", "done", good.token_id), ("login", "done", good.token_id)
    ]  # fmt: skip
    assert of_logins[0].target == of_logins[1].target != ""
    assert {"revoked", "unknown", "malformed"} <= {each.reason for each in refused if each.source == "127.0.0.1"}


async def test_nobody_signs_in_where_what_they_send_may_be_read(
    open_guarded: OpenGuarded, near: Near, tokens: Tokens
) -> None:
    made, far = await tokens.make(), await open_guarded()
    assert problem(await Page(far).sign_in(made.token)) == (403, "login_refused")

    plain = await open_guarded(gateway_public_url="http://localhost")  # far from it, that is no TLS
    assert problem(await Page(plain).sign_in(made.token)) == (403, "login_refused")

    client = await near(gateway_hosts=("box.example",))
    for headers in ({"host": "box.example"}, {"x-forwarded-for": "192.0.2.9"}, {"forwarded": "for=192.0.2.9"}):
        answer = await Page(client).ask("POST", "/v1/login", json={"token": made.token}, headers=headers)
        assert problem(answer) == (403, "login_refused"), headers
    for host in ("127.0.0.1:9000", "[::1]:9000", "localhost:9000"):
        answer = await Page(client).ask("POST", "/v1/login", json={"token": made.token}, headers={"host": host})
        assert answer.status_code == 201, host


async def test_where_tls_is_in_front_the_cookie_is_the_hosts_own_and_secure(
    open_guarded: OpenGuarded, tokens: Tokens
) -> None:
    page, made = Page(await open_guarded(gateway_public_url=PUBLIC)), await tokens.make()
    at_public = {"host": "argosy.example", "origin": PUBLIC}

    answer = await page.ask("POST", "/v1/login", json={"token": made.token}, headers=at_public)

    assert answer.status_code == 201
    (given,) = page.given
    assert given.startswith("__Host-argosy=argosy_s_")
    assert given.endswith("; Path=/; HttpOnly; SameSite=Strict; Secure")
    assert await page.code() == "good"
    plain = Page(page.client, {"argosy": page.cookies["__Host-argosy"]})
    assert await plain.code() == "unauthenticated"


async def test_a_login_is_asked_for_by_the_page_alone(near: Near, tokens: Tokens) -> None:
    client, made = await near(), await tokens.make()

    for headers in ({}, SAME_ORIGIN, TOUCHED, {"sec-fetch-site": "none"} | TOUCHED):
        answer = await client.post("/v1/login", json={"token": made.token}, headers=headers)
        assert problem(answer) == (403, "foreign_origin")
        assert "set-cookie" not in answer.headers


async def test_how_people_sign_in_is_told_to_everybody(near: Near) -> None:
    needed, free = await near(), await near(kg_auth_required=False)

    assert (await needed.get("/v1/login")).json() == {"is_required": True, "issuer": None}
    assert (await free.get("/v1/login")).json() == {"is_required": False, "issuer": None}
