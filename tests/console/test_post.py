"""The form that posts a turn."""

from typing import Any

from selenium.webdriver.common.by import By

from tests.console.browser import Browser, Console
from tests.console.scripted import TURN_ID, Scripted


def workflows(*names: str, following: str | None) -> dict[str, Any]:
    return {"workflows": [{"name": name, "description": f"It is {name}."} for name in names], "next": following}


def open_form(browser: Browser, gateway: Scripted) -> tuple[list[str], str, str]:
    """The form for one more turn like the scripted one: what it offers, what it has chosen, and what it says of it."""
    gateway.pages["/v1/workflows"] = workflows("alpha", "beta", following="c")
    Console(browser, gateway.url).open(f"#/new?like={TURN_ID}")
    browser.until(lambda: browser.texts("select option"), "workflows")
    chosen = browser.driver.find_element(By.CSS_SELECTOR, "select").get_attribute("value")
    return browser.texts("select option"), str(chosen), browser.text("form .hint")


def test_workflows_of_every_page_are_offered(browser: Browser) -> None:
    with Scripted() as gateway:
        gateway.pages["/v1/workflows?cursor=c"] = workflows("scripted", "zeta", following=None)

        found = open_form(browser, gateway)
        browser.open("about:blank")

    assert found == (["alpha", "beta", "scripted", "zeta"], "scripted", "It is scripted.")


def test_what_nobody_can_run_any_more_is_not_taken_for_another_workflow(browser: Browser) -> None:
    with Scripted() as gateway:
        gateway.pages["/v1/workflows?cursor=c"] = workflows("zeta", following=None)

        offered, chosen, hint = open_form(browser, gateway)
        browser.open("about:blank")

    assert (offered[-1], chosen, hint) == ("scripted", "scripted", "No worker has registered it.")
