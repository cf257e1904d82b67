"""What a person sees and does at `GET /`, in a real browser, on a real gateway and worker."""

import json
import uuid
from functools import partial
from pathlib import Path

import httpx2
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.console.browser import Console

MARKUP = '<img src=x onerror="window.owned=1"><script>window.owned=1</script>'


def post(http: httpx2.Client, session: str, workflow: str, content: object) -> str:
    answer = http.post(f"/v1/sessions/{session}/turns", json={"workflow": workflow, "input": content})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["turn_id"])


def status_of(http: httpx2.Client, turn_id: str) -> str:
    return str(http.get(f"/v1/turns/{turn_id}").json()["status"])


def test_a_turn_is_posted_watched_signalled_and_read(
    console: Console, http: httpx2.Client, session: str, tmp_path: Path
) -> None:
    browser = console.browser
    console.open()
    browser.until_text("Answers a question from texts in a graph.", "form")

    browser.fill("Workflow", "echo")
    browser.until_text("Answers its input", "form")
    browser.fill("Workflow", "desk")
    browser.fill("Session", session)
    browser.fill("Input", json.dumps({"counter": str(tmp_path / "counter"), "says": "the bank is closed"}))
    browser.click("Post turn")

    console.status("suspended")
    browser.until_text("It waits for the signal 'reviewed'", ".why")
    browser.until(lambda: "2 tries" in console.rows().get("stumble", ""), "step")
    browser.until(lambda: "waiting" in console.rows().get("signal:reviewed", ""), "wait")
    assert session in browser.until_text(session, "#sessions")

    browser.click("Signal…")
    assert browser.driver.find_element(By.CSS_SELECTOR, "dialog input").get_attribute("value") == "reviewed"
    browser.fill("Payload", '{"by": "Ada", "approved": true}')
    browser.click("Send")

    console.status("completed")
    assert '"approved": true' in browser.until_text("Ada", ".turn")
    assert browser.driver.find_elements(By.CSS_SELECTOR, ".why:not([hidden])") == []
    turn_id = browser.driver.current_url.rpartition("/")[2]
    assert http.get(f"/v1/turns/{turn_id}").json()["result"]["review"] == {"by": "Ada", "approved": True}


def test_a_turn_is_cancelled(console: Console, http: httpx2.Client, session: str, tmp_path: Path) -> None:
    browser = console.browser
    turn_id = post(http, session, "desk", {"counter": str(tmp_path / "counter")})
    console.open_turn(turn_id)
    console.status("suspended")

    browser.click("Cancel…")
    browser.click("Keep it")
    assert status_of(http, turn_id) == "suspended"
    browser.click("Cancel…")
    browser.click("Cancel turn")

    console.status("cancelled")
    assert status_of(http, turn_id) == "cancelled"
    browser.click("Post again")
    browser.until_text("Stumbles once", "form")
    begin = browser.driver.find_element(By.CSS_SELECTOR, "textarea").get_attribute("value")
    assert json.loads(str(begin)) == {"counter": str(tmp_path / "counter")}


def test_markup_in_any_value_is_text(console: Console, http: httpx2.Client, tmp_path: Path) -> None:
    browser = console.browser
    session = f"{MARKUP}{uuid.uuid4().hex[:8]}"
    url = f"/v1/sessions/{httpx2.QueryParams({'q': session})}".replace("q=", "").replace("+", "%20") + "/turns"
    content = {MARKUP: MARKUP, "nested": [{MARKUP: f"javascript:{MARKUP}"}]}
    echoed = http.post(url, json={"workflow": "echo", "input": content, "tags": ["<b>"]}).json()["turn_id"]
    failed = http.post(
        url, json={"workflow": "desk", "input": {"counter": str(tmp_path / "c"), "says": MARKUP}}
    ).json()["turn_id"]

    for place in (f"#/turns/{echoed}", f"#/turns/{failed}", "#/new?" + str(httpx2.QueryParams({"session": session}))):
        console.open(place)
        browser.until_text(session, "#sessions")
    console.open_session(session)
    assert browser.until_text(session, "h1")
    browser.until(lambda: len(browser.texts(".turns li")) == 2, "two turns")
    console.open_turn(echoed)
    console.status("completed")
    for each in browser.driver.find_elements(By.CSS_SELECTOR, "summary, .key button:not([hidden])"):
        each.click()

    seen = browser.until_text("nested", ".turn")
    assert seen.count(MARKUP) >= 4
    assert browser.run("return window.owned") is None
    assert browser.run("return document.querySelectorAll('main img, main script, nav img, nav script').length") == 0


def test_an_address_that_shows_nothing_says_so(console: Console) -> None:
    browser = console.browser
    console.open("#/nowhere/at/all")
    browser.until_text("There is nothing here", "h1")

    console.open("#/turns/not-an-id")
    browser.until_text("is not a turn id", ".problem")
    assert [line for line in browser.log() if "400" not in line] == []


def test_the_api_is_described_and_tried(console: Console, http: httpx2.Client, session: str) -> None:
    browser = console.browser
    turn_id = post(http, session, "echo", "hello")
    console.open("docs")
    assert browser.driver.current_url.endswith("/#/api")
    browser.until_text("/v1/turns/{turn_id}/explain", ".operations")

    summaries = browser.driver.find_elements(By.CSS_SELECTOR, ".operations summary")
    next(each for each in summaries if "/explain" in each.text).click()
    browser.fill("turn_id", turn_id)
    browser.click("Send")

    assert turn_id in browser.until_text('"code"', ".answer")


def test_a_stream_without_end_is_tried_as_often_as_one_likes(
    console: Console, http: httpx2.Client, session: str
) -> None:
    browser = console.browser
    post(http, session, "echo", "hello")
    console.open("#/api")
    browser.until_text("/v1/sessions/{session}/events", ".operations")
    summaries = browser.driver.find_elements(By.CSS_SELECTOR, ".operations summary")
    next(each for each in summaries if "/v1/sessions/{session}/events" in each.text).click()
    browser.fill("session", session)

    for _ in range(8):  # a browser has six connections for a gateway
        browser.run("document.querySelector('.answer').replaceChildren()")
        browser.click("Send")
        browser.until_text("turn.completed", ".answer")
    browser.run("location.hash = given[0]", f"#/sessions/{session}")
    browser.until_text("echo", ".turns")
    browser.run("location.hash = '#/nowhere'")

    browser.until(lambda: "argosy_gateway_streams 0.0" in http.get("/metrics").text, "end of the streams")


def test_the_console_is_used_with_the_keyboard(console: Console, http: httpx2.Client, session: str) -> None:
    browser = console.browser
    turn_id = post(http, session, "echo", "hello")
    console.open()
    browser.until_text(session, "#sessions")

    search = browser.driver.find_element(By.CSS_SELECTOR, "input[type=search]")
    search.send_keys(session, Keys.ENTER)
    browser.until_text(session, "h1")
    browser.until(lambda: browser.texts(".turns li"), "turns")
    assert browser.run("return document.activeElement.tagName") == "H1"
    browser.driver.switch_to.active_element.send_keys(Keys.TAB, Keys.TAB)
    browser.driver.switch_to.active_element.send_keys(Keys.ENTER)

    console.status("completed")
    assert browser.driver.current_url.endswith(turn_id)
    button = browser.driver.find_element(By.CSS_SELECTOR, ".key button:not([hidden])")
    button.send_keys(Keys.ENTER)
    assert button.get_attribute("aria-expanded") == "true"
    assert browser.until_text("hello", ".detail:not([hidden])")


def test_everything_fits_a_narrow_screen(console: Console, http: httpx2.Client, session: str, tmp_path: Path) -> None:
    browser = console.browser
    browser.resize(400, 800)
    turn_id = post(http, session, "desk", {"counter": str(tmp_path / "counter"), "word": "w" * 300})
    for place, sign in (
        ("", "#sessions"),
        ("#/new", "form"),
        ("#/api", ".operations"),
        (f"#/sessions/{session}", ".turns"),
        (f"#/turns/{turn_id}", ".waterfall"),
    ):
        console.open(place)
        browser.until(partial(browser.text, sign), sign)

        assert browser.run("return document.documentElement.scrollWidth") <= 400, place
