"""A real browser, and what a reader of a page can see and do. Every wait is bounded."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.conftest import need

Found = TypeVar("Found")

WITHIN_S: Final = 8.0
# A name that an attacker owns, and that resolves to this machine when it suits them.
REBOUND_NAME: Final = "rebound.example"

_FLAGS: Final = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions", "--disable-dev-shm-usage",
    "--window-size=1280,900", f"--host-resolver-rules=MAP {REBOUND_NAME} 127.0.0.1",
)  # fmt: skip
# What the policy of a page forbade is kept where a test can see it.
_WATCH_POLICY: Final = """
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (event) => {
        window.violations.push(`${event.effectiveDirective}: ${event.blockedURI} ${event.sample}`);
    });
"""
# Those that may be shown with a text. To ask the browser about each of hundreds of elements takes it seconds.
_WITH_TEXT: Final = """
    const [selector, text] = arguments;
    return [...document.querySelectorAll(selector)].filter(
        (each) => each.textContent.replace(/\\s+/g, " ").includes(text),
    );
"""


class Browser:
    """One headless Chromium."""

    def __init__(self, profile: Path) -> None:
        chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
        need(chromium and driver, "chromium and chromium-driver")
        options = webdriver.ChromeOptions()
        options.binary_location = str(chromium)
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(str(driver)))
        self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _WATCH_POLICY})
        self.driver.set_script_timeout(WITHIN_S)
        self.driver.set_page_load_timeout(WITHIN_S)

    def close(self) -> None:
        self.driver.quit()

    def open(self, url: str) -> None:
        """A fresh document, whatever was there before."""
        self.driver.get("about:blank")
        self.driver.get(url)

    def run(self, script: str, *arguments: Any) -> Any:
        """What an async function body returns in the page."""
        wrapped = f"""
            const done = arguments[arguments.length - 1];
            (async (...given) => {{ {script} }})(...arguments).then(
                (value) => done({{ value }}), (error) => done({{ error: String(error) }}));
        """
        answer = self.driver.execute_async_script(wrapped, *arguments)
        assert "error" not in answer, answer["error"]
        return answer.get("value")

    def text(self, selector: str = "body") -> str:
        """What can be read there; empty when there is no such element."""
        found = self.driver.find_elements(By.CSS_SELECTOR, selector)
        return found[0].text if found else ""

    def texts(self, selector: str) -> list[str]:
        return [each.text for each in self.driver.find_elements(By.CSS_SELECTOR, selector)]

    def until_text(self, text: str, selector: str = "body") -> str:
        """What can be read there, once it has the text."""
        return self.until(lambda: seen if text in (seen := self.text(selector)) else "", f"{text!r} in {selector}")

    def until(self, look: Callable[[], Found | None], what: str) -> Found:
        """What look gives, once it gives something. Raises AssertionError with what the page showed instead."""
        deadline = time.monotonic() + WITHIN_S
        while time.monotonic() < deadline:
            try:
                if found := look():
                    return found
            except Exception as error:  # an element that was replaced while it was looked at
                if "stale element" not in str(error):
                    raise
            time.sleep(0.03)
        raise AssertionError(f"no {what}; the page shows:\n{self.text()}\n{self.log()}")

    def click(self, text: str, selector: str = "button, a, summary") -> None:
        """The one that is shown with this text."""

        def visible() -> WebElement | None:
            found = self.driver.execute_script(_WITH_TEXT, selector, text)
            return next((each for each in found if each.is_displayed() and each.text.strip() == text), None)

        self.until(visible, f"{text!r} to click").click()

    def fill(self, label: str, text: str) -> None:
        """The field with this label."""
        path = (
            f"//label[normalize-space()='{label}']/following-sibling::*[self::input or self::textarea or self::select]"
        )
        field = self.until(lambda: self.driver.find_elements(By.XPATH, path), f"field {label!r}")[-1]
        self.run("given[0].value = given[1]; given[0].dispatchEvent(new Event('input', {bubbles: true}))", field, text)
        if field.tag_name == "select":
            self.run("given[0].dispatchEvent(new Event('change', {bubbles: true}))", field)

    def violations(self) -> list[str]:
        """What the page's policy forbade since the document was opened."""
        return list(self.driver.execute_script("return window.violations ?? []"))

    def log(self) -> list[str]:
        """What the browser's console said since it was last asked."""
        return [entry["message"] for entry in self.driver.get_log("browser")]  # type: ignore[no-untyped-call]

    def resize(self, width: int, height: int) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


class Console:
    """The console of one gateway in a browser."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.browser = browser
        self.url = url

    def open(self, place: str = "") -> None:
        self.browser.open(f"{self.url}/{place}")

    def open_quietly(self) -> None:
        """Any page of the console that asks for nothing, for tests of its modules."""
        if self.browser.driver.current_url != f"{self.url}/#/nowhere":
            self.open("#/nowhere")

    def open_turn(self, turn_id: str) -> None:
        self.open(f"#/turns/{turn_id}")

    def open_session(self, session: str) -> None:
        self.open(f"#/sessions/{quote(session, safe='')}")

    def status(self, status: str) -> None:
        """Returns once the turn has it."""
        self.browser.until_text(status, ".turn h1 .chip")

    def rows(self) -> dict[str, str]:
        """The lines of the waterfall: what stands in each, by its key."""
        lines = self.browser.texts(".waterfall .line")
        return {line.split("\n", 1)[0]: line for line in lines}

    def module(self, name: str, script: str, *arguments: Any) -> Any:
        """What a script gives that has the console's module `name` as `it`."""
        return self.browser.run(f"const it = await import('/console/{name}.js'); {script}", *arguments)
