"""Login sessions: what one may do, when its cookie counts, and when it ends, at every gateway."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Final

import httpx2
import pytest

from argosy.clock import SystemClock
from argosy.config import Settings
from argosy.identity.api_token import TokenKind, digest, mint
from argosy.identity.scopes import Role, Scope
from argosy.store.audit import list_audit
from argosy.store.pool import open_pool
from tests.gateway.identity.browser_page import SAME_ORIGIN, TOUCHED, Page
from tests.gateway.identity.conftest import OpenGuarded, guarded_of
from tests.gateway.identity.tokens import Tokens

PUBLIC: Final = "https://argosy.example"
ADMIN: Final = "an-administrators-token-of-a-deployment"
HOUR_S: Final = 3_600.0


class MovedClock(SystemClock):
    """The machine's, both times ahead by as much as a test says."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def unix_ms(self) -> int:
        return super().unix_ms() + int(self.ahead_s * 1_000)


Near = Callable[..., Awaitable[httpx2.AsyncClient]]


@pytest.fixture
async def near(settings: Settings, tenant: str) -> Any:
    """Opens gateways that are asked from their own machine; with the same clock, if that is given."""
    async with AsyncExitStack() as stack:

        async def open_one(clock: MovedClock | None = None, **changes: Any) -> httpx2.AsyncClient:
            guarding = {"kg_auth_required": True, "allow_tenant_header": False, "gateway_cache_s": 0.1}
            changed = settings.model_copy(update=guarding | changes)
            client = await stack.enter_async_context(guarded_of(changed, clock=clock or MovedClock()))
            client._transport.client = ("127.0.0.1", 1234)  # type: ignore[attr-defined]
            return client

        yield open_one


def problem(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def until(look: Callable[[], Awaitable[str]], wanted: str) -> None:
    async with asyncio.timeout(5):
        while await look() != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


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


async def test_logout_ends_the_login_at_every_gateway(near: Near, tokens: Tokens) -> None:
    first, made = Page(await near()), await tokens.make()
    await first.sign_in(made.token)
    second = Page(await near(), dict(first.cookies))
    assert (await first.code(), await second.code()) == ("good", "good")

    answer = await first.ask("POST", "/v1/logout")

    assert answer.status_code == 204
    assert answer.headers["clear-site-data"] == '"storage"'
    assert first.cookies == {}
    assert await first.code() == "unauthenticated"
    first.cookies |= second.cookies
    assert await first.code() == "invalid_token"
    await until(second.code, "invalid_token")
    assert (await second.ask("POST", "/v1/logout")).status_code == 204
    assert (await Page(second.client).ask("POST", "/v1/logout")).status_code == 204


async def test_a_login_ends_with_its_token_at_every_gateway(near: Near, tokens: Tokens) -> None:
    first, made = Page(await near()), await tokens.make()
    await first.sign_in(made.token)
    second = Page(await near(), dict(first.cookies))
    assert (await first.code(), await second.code()) == ("good", "good")

    await tokens.revoke(made)

    await until(first.code, "invalid_token")
    await until(second.code, "invalid_token")


async def test_a_login_lasts_no_longer_than_its_token_or_its_own_time(near: Near, tokens: Tokens) -> None:
    clock = MovedClock()
    client = await near(clock)
    short, long = Page(client), Page(client)
    await short.sign_in((await tokens.make(lifetime_s=1_800)).token)
    await long.sign_in((await tokens.make(lifetime_s=100 * HOUR_S)).token)

    clock.ahead_s = 1_801
    assert (await short.code(), await long.code()) == ("invalid_token", "good")
    for ahead_s in range(3_000, int(12 * HOUR_S), 3_000):
        clock.ahead_s = ahead_s
        assert await long.code() == "good"
    clock.ahead_s = 12 * HOUR_S + 1
    assert await long.code() == "invalid_token"


async def test_a_login_that_nobody_uses_ends_after_an_hour_and_what_a_page_asks_by_itself_is_no_use(
    near: Near, tokens: Tokens
) -> None:
    clock = MovedClock()
    page = Page(await near(clock))
    await page.sign_in((await tokens.make(lifetime_s=100 * HOUR_S)).token)

    clock.ahead_s = 3_500
    assert await page.code(is_touched=True) == "good"
    clock.ahead_s = 7_000
    assert await page.code(is_touched=False) == "good"
    clock.ahead_s = 7_200
    assert await page.code(is_touched=True) == "invalid_token"


async def test_use_at_one_gateway_is_use_at_another(near: Near, tokens: Tokens) -> None:
    clock = MovedClock()
    first = Page(await near(clock))
    second = Page(await near(clock), first.cookies)
    await first.sign_in((await tokens.make(lifetime_s=100 * HOUR_S)).token)
    assert await second.code() == "good"

    clock.ahead_s = 3_000
    assert await first.code() == "good"
    await first.client.state.identity.cache.logins.write_uses()  # type: ignore[attr-defined]
    clock.ahead_s = 6_000

    assert await second.code(is_touched=False) == "good"
    clock.ahead_s = 6_700
    assert await second.code() == "invalid_token"


async def test_the_cookie_changes_at_a_login_and_the_one_before_is_worth_nothing(near: Near, tokens: Tokens) -> None:
    page, made = Page(await near()), await tokens.make()
    await page.sign_in(made.token)
    before = Page(page.client, dict(page.cookies))

    await page.sign_in(made.token)

    assert page.cookies != before.cookies
    assert (await page.code(), await before.code()) == ("good", "invalid_token")
    chosen = Page(page.client, {"argosy": mint(TokenKind.LOGIN)})
    fixed = chosen.cookies["argosy"]
    await chosen.sign_in(made.token)
    assert chosen.cookies["argosy"] != fixed


async def test_one_login_more_than_allowed_ends_the_oldest(near: Near, tokens: Tokens) -> None:
    client, made = await near(logins_max=2), await tokens.make()
    pages = [Page(client) for _ in range(3)]
    for page in pages:
        assert (await page.sign_in(made.token)).status_code == 201

    assert [await page.code() for page in pages] == ["invalid_token", "good", "good"]
    for _ in range(7):
        await Page(client).sign_in(made.token)
    assert problem(await Page(client).sign_in(made.token)) == (429, "rate_limited")


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


async def test_no_cache_keeps_what_a_cookie_shows(near: Near, tokens: Tokens) -> None:
    page = Page(await near())
    signed_in = await page.sign_in((await tokens.make()).token)

    for answer in (signed_in, await page.ask("GET", "/v1/whoami"), await page.ask("POST", "/v1/logout")):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["vary"] == "Authorization, Cookie"


async def test_a_stream_ends_with_its_login(near: Near, tokens: Tokens) -> None:
    page, made = Page(await near()), await tokens.make()
    await page.sign_in(made.token)
    leaving = Page(page.client, dict(page.cookies))
    stream = asyncio.ensure_future(page.ask("GET", "/v1/sessions/s/events", headers={"accept": "text/event-stream"}))
    done, _ = await asyncio.wait({stream}, timeout=0.3)
    assert not done

    await leaving.ask("POST", "/v1/logout")

    ended = await asyncio.wait_for(stream, 5)
    assert "invalid_token" in ended.text


async def test_no_secret_is_in_the_database(near: Near, tokens: Tokens, settings: Settings) -> None:
    page = Page(await near())
    await page.sign_in((await tokens.make()).token)
    secret = page.cookies["argosy"]

    async with open_pool(settings, settings.state_db_uri) as pool:
        stored = await pool.fetchval("SELECT l::text FROM logins AS l WHERE l.hash = $1", digest(secret))
        audit = await pool.fetch("SELECT a::text FROM audit AS a")
    assert secret not in stored
    assert all(secret not in row[0] for row in audit)
