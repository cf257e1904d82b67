"""What a person does where tokens are required: on a real gateway, in a real browser."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterator

import httpx2
import pytest
from selenium.webdriver.common.by import By

from argosy.identity.api_token import TokenKind, digest, hint, mint
from argosy.identity.scopes import Role
from argosy.store.audit import Act
from argosy.store.identity import Identities, NewToken
from argosy.store.pool import Pool
from tests.conftest import fresh_database
from tests.console.browser import Browser, Console
from tests.harness.fixtures import prepared
from tests.harness.fleet import Fleet

ADMIN = f"an-administrators-{uuid.uuid4().hex}"


class Gateway:
    """One that asks for tokens, with two tenants."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.url = fleet.url
        self.acme, self.other = mint(TokenKind.TENANT), mint(TokenKind.TENANT)
        self._ids: dict[str, uuid.UUID] = {}

    def prepare(self) -> None:
        asyncio.run(self._write(self._prepared))

    def revoke(self, token: str) -> None:
        act = Act("local", "a test", None, "acme", "token.revoke")
        asyncio.run(self._write(lambda identities: identities.revoke_token(self._ids[token], None, act)))

    def post(self, token: str, session: str) -> str:
        headers = {"authorization": f"Bearer {token}"}
        content = {"workflow": "echo", "input": "hello"}
        answer = httpx2.post(f"{self.url}/v1/sessions/{session}/turns", json=content, headers=headers, trust_env=False)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["turn_id"])

    async def _write(self, write: Callable[[Identities], Awaitable[None]]) -> None:
        pool = Pool(self.fleet.environment["STATE_DB_URI"], 2, 30.0)
        try:
            await write(Identities(pool))
        finally:
            await pool.close()

    async def _prepared(self, identities: Identities) -> None:
        for tenant, token in (("acme", self.acme), ("other", self.other)):
            act = Act("local", "a test", None, tenant, "test")
            await identities.create_tenant(tenant, act)
            token_id = self._ids[token] = uuid.uuid4()
            new = NewToken(
                token_id, digest(token), tenant, "t", Role.TENANT, (), None, None, hint(token), "a test", 3_600.0
            )
            await identities.create_token(new, act)


@pytest.fixture
def gateway(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with (
        fresh_database(postgres_dsn) as dsn,
        prepared(
            Fleet(tmp_path_factory.mktemp("signin"), dsn, "", 4, KG_AUTH_REQUIRED="1", ARGOSY_ADMIN_TOKEN=ADMIN)
        ) as fleet,
    ):
        gateway = Gateway(fleet)
        gateway.prepare()
        fleet.start()
        yield gateway


@pytest.fixture
def console(browser: Browser, gateway: Gateway) -> Iterator[Console]:
    """What is refused, and what is not there, the browser says in its log; nothing else, and the page keeps to its
    policy.
    """
    browser.log()
    yield Console(browser, gateway.url)
    violations = browser.violations()
    browser.open("about:blank")  # before its gateway ends
    assert violations == []
    assert [said for said in browser.log() if not ("status of 401" in said or "status of 404" in said)] == []


def sign_in(browser: Browser, token: str, tenant: str = "") -> None:
    browser.until_text("This gateway asks for a token", "main")
    browser.fill("Token", token)
    browser.fill("Tenant", tenant)
    browser.click("Sign in", "form button")


def kept_anywhere(browser: Browser, token: str) -> bool:
    """Whether the page has the token where it outlives it, or where another script or a reader finds it."""
    everything = browser.run(
        """
        const databases = await indexedDB.databases();
        const shown = (name) => { try { return JSON.stringify(window[name]) ?? ""; } catch { return ""; } };
        return [JSON.stringify(localStorage), JSON.stringify(sessionStorage), document.cookie, location.href,
          JSON.stringify(history.state), JSON.stringify(databases), document.documentElement.outerHTML,
          ...[...document.querySelectorAll("input, textarea")].map((field) => field.value),
          ...Object.keys(window).map(shown),
        ].join("\\n");
        """
    )
    return token in str(everything)


def test_who_signs_in_sees_their_own_and_the_token_is_kept_nowhere(
    console: Console, gateway: Gateway, session: str
) -> None:
    browser = console.browser
    turn_id = gateway.post(gateway.acme, session)
    console.open_turn(turn_id)

    sign_in(browser, gateway.acme)

    console.status("completed")
    assert browser.text("#who") == "acme · tenant"
    assert session in browser.until_text(session, "#sessions")
    assert not kept_anywhere(browser, gateway.acme)

    browser.click("Sign out")
    browser.until_text("This gateway asks for a token", "main")
    assert browser.text("#who") == ""
    assert session not in browser.text("body")

    sign_in(browser, gateway.other)
    browser.until_text("other · tenant", "#who")
    browser.until_text("No session yet", "#sessions")
    browser.until_text("There is no such turn", "main")

    browser.open(browser.driver.current_url)  # loaded again, it knows nobody
    browser.until_text("This gateway asks for a token", "main")


def test_a_bad_token_is_said_and_another_one_can_be_tried(console: Console, gateway: Gateway) -> None:
    browser = console.browser
    console.open()

    for token, said in (("", "Token is missing"), ("two words", "characters that no token has")):
        sign_in(browser, token)
        browser.until_text(said, "form .problem")
    sign_in(browser, mint(TokenKind.TENANT))
    browser.until_text("The token is not good", "form .problem")
    assert browser.driver.find_element(By.CSS_SELECTOR, "input[type=password]").get_attribute("value") == ""

    sign_in(browser, gateway.acme)
    browser.until_text("acme · tenant", "#who")


def test_an_administrator_names_the_tenant_to_act_for(console: Console, gateway: Gateway, session: str) -> None:
    browser = console.browser
    gateway.post(gateway.acme, session)
    console.open()

    sign_in(browser, ADMIN, "nobody")
    browser.until_text("There is no such tenant", "form .problem")
    sign_in(browser, ADMIN, "acme")

    browser.until_text("acme · ", "#who")
    assert session in browser.until_text(session, "#sessions")


def test_a_token_that_is_revoked_while_somebody_watches_leads_back_to_the_sign_in(
    console: Console, gateway: Gateway, session: str
) -> None:
    browser = console.browser
    turn_id = gateway.post(gateway.acme, session)
    console.open_turn(turn_id)
    sign_in(browser, gateway.acme)
    console.status("completed")

    gateway.revoke(gateway.acme)

    browser.until_text("This gateway asks for a token", "main")
    assert session not in browser.text("#sessions")
