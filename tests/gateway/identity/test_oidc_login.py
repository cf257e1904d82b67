"""The sign-in at a real OpenID provider, through real gateways: who gets a login, and what stands in the way of the
rest."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from argosy import config
from argosy.config import Settings
from argosy.errors import SettingError
from argosy.gateway.app import create_app
from argosy.gateway.oidc_login import PENDING_S
from argosy.identity.errors import TenantExistsError
from argosy.identity.scopes import SCOPES_OF, Role
from argosy.identity.tenant import TenantState
from argosy.store.audit import Act, list_audit
from argosy.store.identity import Identities
from argosy.store.pool import Pool, open_pool
from tests.gateway.identity.browser_page import Page
from tests.gateway.identity.logins import MovedClock, until
from tests.identity.openid_provider import OpenIdProvider

PUBLIC: Final = "http://localhost"
CALLBACK: Final = f"{PUBLIC}/v1/login/oidc/callback"
# What a browser says when somebody follows a link, or is sent on, from another site.
FROM_ELSEWHERE: Final = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
SECRET: Final = "of a test & more"
TENANTS: Final = ("acme", "beta")


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenIdProvider]:
    issuer = OpenIdProvider(tmp_path_factory.mktemp("issuer"), CALLBACK)
    issuer.start()
    yield issuer
    issuer.stop()


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


def given(issuer: str, **more: str) -> dict[str, str]:
    return {
        "AUTH_JWT_ISSUER": issuer,
        "AUTH_JWT_AUDIENCE": "argosy",
        "AUTH_JWT_ROLE_MAP": '{"staff": "user"}',
        "AUTH_OIDC_CLIENT_ID": "console",
        "AUTH_OIDC_CLIENT_SECRET": SECRET,
        "AUTH_OIDC_SCOPES": "openid turns:resume",
        "AUTH_OIDC_RESOURCE": "https://argosy",
        "GATEWAY_PUBLIC_URL": PUBLIC,
        **more,
    }


@pytest.fixture
def trusting(gateway_dsn: str, tmp_path: Path, issuer: OpenIdProvider) -> Settings:
    return config.load(
        given(issuer.issuer),
        state_db_uri=gateway_dsn,
        argosy_data_dir=tmp_path / "data",
        kg_auth_required=True,
        gateway_cache_s=0.1,
    )


@pytest.fixture
async def pool(trusting: Settings) -> AsyncIterator[Pool]:
    async with open_pool(trusting, trusting.state_db_uri) as pool:
        for tenant in TENANTS:
            with contextlib.suppress(TenantExistsError):
                await Identities(pool, 10).create_tenant(tenant, Act("test", "", None, None, "tenant.create"))
        yield pool


@pytest.fixture
async def pages(trusting: Settings, clock: MovedClock, pool: Pool) -> AsyncIterator[list[Page]]:
    """One browser, and two gateways."""
    cookies: dict[str, str] = {}
    async with page_at(trusting, clock, cookies) as first, page_at(trusting, clock, cookies) as second:
        yield [first, second]


@contextlib.asynccontextmanager
async def page_at(settings: Settings, clock: MovedClock, cookies: dict[str, str]) -> AsyncIterator[Page]:
    """The browser at one more gateway."""
    app = create_app(settings, clock, has_signals=False)
    transport = httpx2.ASGITransport(app, client=("127.0.0.1", 1))
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url=PUBLIC, timeout=30) as client,
    ):
        client.state = app.state.gateway  # type: ignore[attr-defined]
        yield Page(client, cookies)


async def begin(page: Page, query: str = "") -> str:
    """The address at the provider to which the gateway leads."""
    answer = await page.ask_plainly("GET", f"/v1/login/oidc{query}", headers={"sec-fetch-site": "same-origin"})
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


async def at_provider(address: str, account: str = "ada", error: str = "") -> str:
    """Sign somebody in there; the address to which the provider leads back."""
    async with httpx2.AsyncClient(trust_env=False, timeout=10) as browser:
        for _ in range(8):
            answer = await browser.get(address)
            assert answer.status_code == 303, answer.text
            address = str(answer.headers["location"])
            if address.startswith("/"):
                split = urlsplit(str(answer.request.url))
                address = f"{split.scheme}://{split.netloc}{address}"
            if address.startswith(PUBLIC):
                return address
            if "/interaction/" in address:
                address += f"?error={error}" if error else f"?account={account}"
    raise AssertionError(address)


async def back(page: Page, address: str) -> str:
    """Come back from the provider; to where the gateway leads then."""
    answer = await page.ask_plainly("GET", address.removeprefix(PUBLIC), headers=FROM_ELSEWHERE)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


async def test_who_signs_in_at_the_provider_has_a_login_at_every_gateway(
    pages: list[Page], pool: Pool, issuer: OpenIdProvider
) -> None:
    first, second = pages
    address = await begin(first, "?return=%23%2Fsessions%2Fs")
    asked = parse_qs(urlsplit(address).query)
    (pending,) = first.given

    led = await back(second, await at_provider(address))  # another gateway than the one that began it

    assert asked["code_challenge_method"] == ["S256"]
    assert asked["redirect_uri"] == [CALLBACK]
    assert pending.startswith("argosy-login=")
    assert "; HttpOnly; SameSite=Lax; Max-Age=600" in pending
    assert led == "/#/sessions/s"
    assert second.given[0].endswith("; Path=/; HttpOnly; SameSite=Strict")
    assert set(first.cookies) == {"argosy"}
    for page in pages:
        who = (await page.ask("GET", "/v1/whoami")).json()
        assert (who["kind"], who["tenant"], who["id"]) == ("login", "acme", f"{issuer.issuer}|ada")
        assert set(who["scopes"]) == SCOPES_OF[Role.USER] | {"turns:resume"}
        assert {"role:user", f"role:{issuer.issuer}|staff"} <= set(who["labels"])  # as lists know the token's user
    posted = await first.ask("POST", "/v1/sessions/s/turns", json={"workflow": "echo", "input": 1})
    assert posted.status_code == 202
    assert (await first.ask("GET", "/v1/login")).json() == {"is_required": True, "issuer": "127.0.0.1"}
    told = [row.act for row in await list_audit(pool, "acme", None, 10)]
    assert ("login", f"{issuer.issuer}|ada") in {(each.action, each.actor_id) for each in told}

    await first.ask("POST", "/v1/logout")
    assert await first.code() == "unauthenticated"


async def test_a_login_lasts_its_own_time_and_is_of_a_tenant_that_there_is(
    pages: list[Page], clock: MovedClock, pool: Pool
) -> None:
    page, _ = pages
    await back(page, await at_provider(await begin(page)))

    for ahead_s in range(3_000, 12 * 3_600, 3_000):
        clock.ahead_s = ahead_s
        assert await page.code() == "good"
    clock.ahead_s = 12 * 3_600 + 1
    assert await page.code() == "invalid_token"

    clock.ahead_s = 0
    for account, code in (("zoe", "tenant_unknown"), ("sam", "tenant_required"), ("eve", "invalid_token")):
        assert await back(page, await at_provider(await begin(page), account)) == f"/?login={code}#/"
    assert await back(page, await at_provider(await begin(page, "?tenant=beta"), "sam")) == "/#/"
    assert (await page.ask("GET", "/v1/whoami")).json()["tenant"] == "beta"
    other = await page.ask("GET", "/v1/whoami", headers={"x-argosy-tenant": "acme"})
    assert other.json()["tenant"] == "acme"
    foreign = await page.ask("GET", "/v1/whoami", headers={"x-argosy-tenant": "default"})
    assert foreign.json()["code"] == "insufficient_scope"
    assert await back(page, await at_provider(await begin(page), error="access_denied")) == "/?login=login_refused#/"


async def test_a_login_is_for_no_tenant_that_is_not_its_issuers(
    pages: list[Page], clock: MovedClock, trusting: Settings
) -> None:
    page, _ = pages
    await back(page, await at_provider(await begin(page, "?tenant=beta"), "sam"))
    assert await page.code() == "good"

    for tenants, code in ((("be*",), "good"), (("acme",), "tenant_unknown")):
        async with page_at(trusting.model_copy(update={"auth_jwt_tenants": tenants}), clock, page.cookies) as held:
            assert await held.code() == code
    async with page_at(trusting.model_copy(update={"auth_jwt_tenants": ("beta",)}), clock, {}) as held:
        assert await back(held, await at_provider(await begin(held))) == "/?login=tenant_unknown#/"


async def test_nobody_comes_back_from_a_sign_in_that_this_browser_did_not_begin(
    pages: list[Page], clock: MovedClock, trusting: Settings
) -> None:
    page, _ = pages
    address = await at_provider(await begin(page))
    pending = page.cookies["argosy-login"]
    code = parse_qs(urlsplit(address).query)["code"][0]
    body, _, mac = pending.partition(".")
    refused = "/?login=login_refused#/"

    stranger = Page(page.client)
    assert await back(stranger, address) == refused  # who was handed somebody's address: login CSRF
    for forged in (f"{body}.", f"{body}.{mac[:-3]}AAA", f".{mac}", "x", body, f"{body[:-4]}AAAA.{mac}"):
        assert await back(Page(page.client, {"argosy-login": forged}), address) == refused
    keep = Page(page.client, {"argosy-login": pending})
    for changed in (
        address.replace("state=", "state=x"),
        address.replace("iss=http", "iss=https"),
        address.partition("&iss=")[0],
        address.replace(f"code={code}", "code=another"),
        address.replace(f"code={code}", ""),
        address.replace(f"code={code}", f"code={'x' * 5_000}"),
    ):
        keep.cookies["argosy-login"] = pending
        assert changed != address
        assert await back(keep, changed) == refused, changed
        assert "argosy" not in keep.cookies
    clock.ahead_s = PENDING_S + 1
    assert await back(Page(page.client, {"argosy-login": pending}), address) == refused


async def test_a_login_ends_when_its_subject_is_revoked(pages: list[Page], pool: Pool, issuer: OpenIdProvider) -> None:
    first, second = pages
    await back(first, await at_provider(await begin(first, "?tenant=beta"), "sam"))
    assert (await first.code(), await second.code()) == ("good", "good")

    act = Act("test", "", None, None, "subject.revoke")
    await Identities(pool, 10).revoke_subject(issuer.issuer, "sam", 3_600.0, 10_000, act)

    await until(first.code, "invalid_token")
    await until(second.code, "invalid_token")


async def test_a_code_is_good_once(pages: list[Page]) -> None:
    page, _ = pages
    address = await at_provider(await begin(page))
    again = Page(page.client, dict(page.cookies))

    assert await back(page, address) == "/#/"
    assert await back(again, address) == "/?login=login_refused#/"


@pytest.mark.parametrize(
    "place",
    ["https://elsewhere.example", "//elsewhere.example", "/v1/logout", "#/a\r\nset-cookie: x=y", "#//\\x", "#x"],
)
async def test_the_way_back_leads_to_the_console_alone(pages: list[Page], place: str) -> None:
    page, _ = pages
    answer = await page.ask_plainly("GET", "/v1/login/oidc", params={"return": place}, headers={})

    assert await back(page, await at_provider(str(answer.headers["location"]))) == "/#/"


async def test_a_suspended_tenants_people_read_and_a_trust_that_ends_ends_logins(
    pages: list[Page], pool: Pool, trusting: Settings, clock: MovedClock
) -> None:
    page, _ = pages
    await back(page, await at_provider(await begin(page)))
    identities, act = Identities(pool, 10), Act("test", "", None, None, "tenant.suspend")
    await identities.set_tenant_state("acme", TenantState.SUSPENDED, act)
    try:
        async with asyncio.timeout(5):
            body = {"workflow": "echo", "input": 1}
            while (await page.ask("POST", "/v1/sessions/s/turns", json=body)).status_code != 403:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert await page.code() == "good"
    finally:
        await identities.set_tenant_state("acme", TenantState.ACTIVE, act)
    app = create_app(trusting.model_copy(update={"auth_jwt_issuer": "", "auth_jwt_audience": ""}), clock)
    transport = httpx2.ASGITransport(app, client=("127.0.0.1", 1))
    async with app.router.lifespan_context(app), httpx2.AsyncClient(transport=transport, base_url=PUBLIC) as client:
        assert await Page(client, page.cookies).code() == "invalid_token"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"GATEWAY_PUBLIC_URL": ""}, "GATEWAY_PUBLIC_URL"),
        ({"AUTH_JWT_ISSUER": "", "AUTH_JWT_AUDIENCE": ""}, "AUTH_JWT_ISSUER"),
        ({"AUTH_OIDC_SCOPES": "profile"}, "openid"),
        ({"GATEWAY_PUBLIC_URL": "http://argosy.example"}, "GATEWAY_PUBLIC_URL"),
        ({"GATEWAY_PUBLIC_URL": "https://argosy.example/x"}, "GATEWAY_PUBLIC_URL"),
    ],
)
def test_half_of_the_settings_keeps_a_gateway_from_starting(changes: dict[str, str], said: str) -> None:
    with pytest.raises(SettingError, match=said) as refused:
        config.load(given("https://login.example", **changes))
    assert SECRET not in str(refused.value)


async def test_without_a_provider_there_is_no_way_to_one(client: Any) -> None:
    for path in ("/v1/login/oidc", "/v1/login/oidc/callback?code=x&state=y"):
        assert (await client.get(path)).status_code == 404
