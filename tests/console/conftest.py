"""One browser, one gateway and one worker for all tests of the console, each test with sessions of its own."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.conftest import fresh_database, open_folder
from tests.console.browser import Browser, Console
from tests.console.guarded import ADMIN, Guarded
from tests.harness.fixtures import prepared
from tests.harness.fleet import Fleet


@pytest.fixture(scope="package")
def fleet(postgres_dsn: str, template_18: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A gateway and a worker on the Postgres log."""
    workflows = str(Path(__file__).with_name("workflows.py"))
    with (
        fresh_database(postgres_dsn, template_18) as dsn,
        prepared(Fleet(tmp_path_factory.mktemp("console"), dsn, "", 4, ARGOSY_WORKFLOWS=workflows)) as fleet,
    ):
        fleet.start()
        yield fleet


@pytest.fixture
def gateway_url(fleet: Fleet) -> str:
    return fleet.url


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with open_folder() as profile:
        browser = Browser(profile)
        try:
            yield browser
        finally:
            browser.close()


@pytest.fixture
def console(browser: Browser, gateway_url: str) -> Iterator[Console]:
    """Open in the browser. Whatever a test does with it, the page keeps to its policy and says nothing in the log."""
    browser.log()
    browser.resize(1280, 900)
    yield Console(browser, gateway_url)
    assert browser.violations() == []
    assert browser.log() == []


@pytest.fixture
def http(gateway_url: str) -> Iterator[httpx2.Client]:
    """A program that uses the same gateway."""
    with httpx2.Client(base_url=gateway_url, timeout=10, trust_env=False) as client:
        yield client


@pytest.fixture
def session() -> str:
    """Nobody else's."""
    return f"s-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="package")
def guarded(postgres_dsn: str, template_18: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A gateway that asks for tokens, and a worker."""
    with (
        fresh_database(postgres_dsn, template_18) as dsn,
        prepared(
            Fleet(tmp_path_factory.mktemp("signin"), dsn, "", 4, KG_AUTH_REQUIRED="1", ARGOSY_ADMIN_TOKEN=ADMIN)
        ) as fleet,
    ):
        guarded = Guarded(fleet)
        guarded.prepare()
        fleet.start()
        yield guarded


@pytest.fixture
def guarded_console(browser: Browser, guarded: Guarded) -> Iterator[Console]:
    """What is refused, and what is not there, the browser says in its log; nothing else, and the page keeps to its
    policy. The browser forgets who signed in.
    """
    browser.log()
    browser.resize(1280, 900)
    yield Console(browser, guarded.url)
    violations = browser.violations()
    browser.driver.delete_all_cookies()
    browser.open("about:blank")  # before its gateway ends
    assert violations == []
    expected = ("status of 401", "status of 403", "status of 404", "Clear-Site-Data header")
    assert [said for said in browser.log() if not any(each in said for each in expected)] == []
