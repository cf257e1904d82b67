"""Somebody signs in at a real OpenID provider, in a real browser, and comes back to where they were."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import fresh_database
from tests.console.browser import Browser, Console
from tests.console.guarded import Guarded
from tests.harness.fixtures import prepared
from tests.harness.fleet import Fleet
from tests.identity.openid_provider import OpenIdProvider

pytestmark = pytest.mark.slow


@pytest.fixture
def trusting(postgres_dsn: str, tmp_path: Path) -> Iterator[Guarded]:
    """A gateway that sends people to a provider."""
    with fresh_database(postgres_dsn) as dsn, prepared(Fleet(tmp_path, dsn, "", 4, KG_AUTH_REQUIRED="1")) as fleet:
        issuer = OpenIdProvider(tmp_path, f"{fleet.url}/v1/login/oidc/callback")
        issuer.start()
        fleet.environment |= {
            "AUTH_JWT_ISSUER": issuer.issuer,
            "AUTH_JWT_AUDIENCE": "argosy",
            "AUTH_JWT_ROLE_MAP": '{"staff": "user"}',
            "AUTH_OIDC_CLIENT_ID": "console",
            "AUTH_OIDC_CLIENT_SECRET": "of a test & more",
            "AUTH_OIDC_RESOURCE": "https://argosy",
            "GATEWAY_PUBLIC_URL": fleet.url,
        }
        guarded = Guarded(fleet)
        guarded.prepare()
        fleet.start()
        yield guarded
        issuer.stop()


def test_somebody_signs_in_at_a_provider_and_comes_back(browser: Browser, trusting: Guarded, session: str) -> None:
    browser.resize(1280, 900)
    console = Console(browser, trusting.url)
    turn_id = trusting.post(trusting.acme, session)
    console.open_turn(turn_id)

    browser.click("Sign in with 127.0.0.1")

    console.status("completed")
    assert browser.text("#who") == "acme · user"
    assert browser.driver.current_url == f"{trusting.url}/#/turns/{turn_id}"
    assert browser.violations() == []
    (cookie,) = [each for each in browser.driver.get_cookies() if each["name"].startswith("argosy")]
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("argosy", True, "Strict")
    browser.open(f"{trusting.url}/?login=tenant_unknown#/")
    browser.click("Sign out")
    browser.until_text("This gateway asks for a token", "main")
    browser.driver.delete_all_cookies()
    browser.open("about:blank")
    browser.log()
