"""A real Keycloak as the issuer: its access tokens, a new key of it, and people who sign in at it."""

import asyncio
import contextlib
import html
import re
from collections.abc import AsyncIterator, Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Final

import httpx2
import pytest

from argosy import config
from argosy.config import Settings
from argosy.gateway.app import create_app
from argosy.identity.errors import TenantExistsError
from argosy.identity.scopes import SCOPES_OF, Role
from argosy.store.audit import Act
from argosy.store.identity import Identities
from argosy.store.pool import open_pool
from tests.gateway.identity.browser_page import Page
from tests.harness.hand_clock import AheadClock
from tests.identity.keycloak import PASSWORD, Keycloak

PUBLIC: Final = "http://localhost"
CALLBACK: Final = f"{PUBLIC}/v1/login/oidc/callback"
FROM_ELSEWHERE: Final = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}

pytestmark = pytest.mark.slow  # it takes a minute to start


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keycloak]:
    issuer = Keycloak(tmp_path_factory.mktemp("issuer"), CALLBACK)
    try:
        issuer.start()
        yield issuer
    finally:
        issuer.stop()


@pytest.fixture
def clock() -> AheadClock:
    return AheadClock()


@pytest.fixture
def trusting(gateway_dsn: str, tmp_path: Path, issuer: Keycloak) -> Settings:
    return config.load(
        {
            "AUTH_JWT_ISSUER": issuer.issuer,
            "AUTH_JWT_AUDIENCE": "argosy",
            "AUTH_JWT_ROLE_MAP": '{"staff": "user"}',
            "AUTH_OIDC_CLIENT_ID": "console",
            "AUTH_OIDC_CLIENT_SECRET": PASSWORD,
            "GATEWAY_PUBLIC_URL": PUBLIC,
        },
        state_db_uri=gateway_dsn,
        argosy_data_dir=tmp_path / "data",
        kg_auth_required=True,
        gateway_cache_s=0.1,
    )


@pytest.fixture
async def client(trusting: Settings, clock: AheadClock) -> AsyncIterator[httpx2.AsyncClient]:
    async with open_pool(trusting, trusting.state_db_uri) as pool:
        with contextlib.suppress(TenantExistsError):
            await Identities(pool, 10).create_tenant("acme", Act("test", "", None, None, "tenant.create"))
    app = create_app(trusting, clock, has_signals=False)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app, client=("127.0.0.1", 1)), base_url=PUBLIC, timeout=30
        ) as client,
    ):
        yield client


async def who(client: httpx2.AsyncClient, token: str) -> httpx2.Response:
    return await client.get("/v1/whoami", headers={"authorization": f"Bearer {token}"})


async def signed_in(address: str, name: str) -> str:
    """Fill the form of the realm in as somebody; the address to which it leads back."""
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as browser:
        shown = await browser.get(address)
        assert shown.status_code == 200, shown.text
        # It marks its cookies Secure and browsers send them to 127.0.0.1 all the same; a jar of Python does not.
        fields = shown.headers.get_list("set-cookie")
        cookies = "; ".join(f"{key}={each.value}" for field in fields for key, each in SimpleCookie(field).items())
        action = re.search(r'<form[^>]* action="([^"]+)"', shown.text)
        assert action is not None, shown.text
        answer = await browser.post(
            html.unescape(action[1]), data={"username": name, "password": PASSWORD}, headers={"cookie": cookies}
        )
    assert answer.status_code == 302, answer.text
    return str(answer.headers["location"])


async def test_an_agents_token_is_good_for_its_tenant_and_what_is_no_access_token_for_argosy_is_not(
    client: httpx2.AsyncClient, issuer: Keycloak
) -> None:
    acme, nobody, elsewhere = [
        await asyncio.to_thread(issuer.token, name) for name in ("agent-of-acme", "agent-of-nobody", "elsewhere")
    ]

    found = (await who(client, acme)).json()
    posted = await client.post(
        "/v1/sessions/s/turns", json={"workflow": "echo", "input": 1}, headers={"authorization": f"Bearer {acme}"}
    )

    assert (found["kind"], found["tenant"]) == ("jwt", "acme")
    assert set(found["scopes"]) == SCOPES_OF[Role.USER]
    assert posted.status_code == 202
    for bad in (nobody, elsewhere, acme[:-4] + ("AAAA" if acme[-4:] != "AAAA" else "QQQQ")):
        answer = await who(client, bad)
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")


async def test_who_signs_in_at_it_is_one_of_the_realms_people(client: httpx2.AsyncClient, issuer: Keycloak) -> None:
    page = Page(client)
    led = await page.ask_plainly("GET", "/v1/login/oidc", headers={"sec-fetch-site": "same-origin"})
    address = await signed_in(str(led.headers["location"]), "ada")
    back = await page.ask_plainly("GET", address.removeprefix(PUBLIC), headers=FROM_ELSEWHERE)
    found = (await page.ask("GET", "/v1/whoami")).json()

    assert back.headers["location"] == "/#/"
    assert (found["kind"], found["tenant"]) == ("login", "acme")
    assert found["id"].startswith(f"{issuer.issuer}|")
    assert set(found["scopes"]) == SCOPES_OF[Role.USER]


async def test_a_token_of_its_newest_key_is_good_at_once_and_the_older_stay_good(
    client: httpx2.AsyncClient, issuer: Keycloak, clock: AheadClock
) -> None:
    old = await asyncio.to_thread(issuer.token, "agent-of-acme")
    assert (await who(client, old)).status_code == 200

    await asyncio.to_thread(issuer.add_key)
    new = await asyncio.to_thread(issuer.token, "agent-of-acme")
    clock.ahead_s += 31.0  # an issuer is not asked for a missing key more often

    assert new.partition(".")[0] != old.partition(".")[0]
    assert (await who(client, new)).status_code == 200
    assert (await who(client, old)).status_code == 200
