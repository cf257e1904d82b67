"""Another website in the same browser can neither read nor drive a gateway."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest

from tests.console.browser import REBOUND_NAME, Console
from tests.console.guarded import Guarded, sign_in
from tests.console.test_console import post, status_of

# What a page can try with the gateway at `given[0]`, a turn `given[1]` and a session `given[2]`.
ATTEMPTS = """
    const [gateway, turn, session] = given;
    const text = (promise) => promise.then(async (answer) => `${answer.type}: ${await answer.text()}`, String);
    const json = { "content-type": "application/json" };
    const body = JSON.stringify({ workflow: "echo", input: 1 });
    const url = `${gateway}/v1/sessions/${session}/turns`;
    const load = (tag, properties) => new Promise((done) => {
        const made = Object.assign(document.createElement(tag), properties);
        made.onload = () => done("loaded");
        made.onerror = () => done("refused");
        document.body.append(made);
    });
    return {
        read: await text(fetch(`${gateway}/v1/sessions`)),
        read_blindly: await text(fetch(`${gateway}/v1/sessions`, { mode: "no-cors" })),
        stream: await text(fetch(`${gateway}/v1/turns/${turn}/events`, { headers: { accept: "text/event-stream" } })),
        post: await text(fetch(url, { method: "POST", headers: json, body })),
        post_blindly: await text(fetch(url, { method: "POST", mode: "no-cors", body })),
        beacon: String(navigator.sendBeacon(url, body)),
        cancel: await text(fetch(`${gateway}/v1/turns/${turn}/cancel`, { method: "POST", mode: "no-cors" })),
        signal: await text(fetch(`${gateway}/v1/turns/${turn}/signals/reviewed`, { method: "POST", mode: "no-cors" })),
        script: await load("script", { src: `${gateway}/console/app.js` }),
        data: await load("script", { src: `${gateway}/v1/sessions` }),
        image: await load("img", { src: `${gateway}/console/icon.svg` }),
        style: await load("link", { rel: "stylesheet", href: `${gateway}/console/style.css` }),
    };
"""


class _Site(BaseHTTPRequestHandler):
    """A website with one empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>another site</title><body>")

    def log_message(self, *_: object) -> None:
        """It says nothing."""


@pytest.fixture
def other_site() -> Iterator[str]:
    """The origin of a page on another port of this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(5)


def test_another_site_neither_reads_nor_drives(
    console: Console, http: httpx2.Client, other_site: str, session: str, tmp_path: Path
) -> None:
    browser = console.browser
    turn_id = post(http, session, "desk", {"counter": str(tmp_path / "counter")})
    console.open_turn(turn_id)
    console.status("suspended")

    browser.open(other_site)
    came_of_it = browser.run(ATTEMPTS, console.url, turn_id, f"{session}-foreign")
    browser.log()

    assert {name: came_of_it[name] for name in ("read", "stream", "post")} == dict.fromkeys(
        ("read", "stream", "post"), "TypeError: Failed to fetch"
    )
    for name in ("read_blindly", "post_blindly", "cancel", "signal"):
        assert came_of_it[name] in ("opaque: ", "TypeError: Failed to fetch"), name
    for name in ("script", "data", "image", "style"):
        assert came_of_it[name] == "refused", name
    assert status_of(http, turn_id) == "suspended"
    assert http.get(f"/v1/sessions/{session}-foreign").status_code == 404
    assert http.get(f"/v1/turns/{turn_id}/explain").json()["details"]["undelivered"] == []


def test_another_site_can_link_to_the_console_and_cannot_frame_it(console: Console, other_site: str) -> None:
    browser = console.browser
    browser.open(other_site)
    browser.run("document.body.append(Object.assign(document.createElement('iframe'), { src: given[0] }))", console.url)
    browser.until(lambda: browser.run("return document.querySelector('iframe').contentDocument === null"), "frame")
    framed = browser.run(
        "return frames.length && await new Promise((done) => setTimeout(() => { "
        "try { done(String(frames[0].document)) } catch (error) { done(error.name) } }, 200))"
    )
    assert framed == "SecurityError"
    browser.driver.switch_to.frame(0)
    assert "New turn" not in browser.text()
    browser.driver.switch_to.default_content()
    browser.log()

    browser.run(
        "document.body.append(Object.assign(document.createElement('a'), { href: given[0], textContent: 'x' }))",
        f"{console.url}/#/new",
    )
    browser.click("x")

    browser.until_text("New turn", "h1")


def test_a_name_that_was_rebound_to_this_machine_is_refused(console: Console) -> None:
    browser = console.browser
    port = console.url.rpartition(":")[2]

    browser.open(f"http://{REBOUND_NAME}:{port}/")
    shown = json.loads(browser.text("pre"))
    read = browser.run("return (await fetch('/v1/sessions')).status")
    browser.log()

    assert shown["code"] == "unknown_host"
    assert read == 421


# What a page of another port of this machine can try: it is of the same site, so the browser sends the cookie along.
WITH_THE_COOKIE = """
    const [gateway, turn, session] = given;
    const text = (promise) => promise.then(async (answer) => `${answer.type}: ${await answer.text()}`, String);
    const body = JSON.stringify({ workflow: "echo", input: 1 });
    const url = `${gateway}/v1/sessions/${session}/turns`;
    const sent = { credentials: "include" };
    const leaving = { method: "POST", action: `${gateway}/v1/logout`, target: "f" };
    const form = Object.assign(document.createElement("form"), leaving);
    const frame = Object.assign(document.createElement("iframe"), { name: "f" });
    document.body.append(frame, form);
    const loaded = new Promise((done) => (frame.onload = done));
    form.submit();
    await loaded;
    const events = new EventSource(`${gateway}/v1/turns/${turn}/events`, { withCredentials: true });
    const heard = await new Promise((done) => {
        events.onmessage = () => done("heard");
        events.onopen = () => done("opened");
        events.onerror = () => done("refused");
    });
    events.close();
    return {
        heard,
        read: await text(fetch(`${gateway}/v1/sessions`, sent)),
        marked: await text(fetch(url, { ...sent, method: "POST", headers: { "x-argosy-console": "1" }, body })),
        blindly: await text(fetch(url, { ...sent, method: "POST", mode: "no-cors", body })),
        beacon: String(navigator.sendBeacon(url, body)),
        logout: await text(fetch(`${gateway}/v1/logout`, { ...sent, method: "POST", mode: "no-cors" })),
        login: await text(fetch(`${gateway}/v1/login`, { ...sent, method: "POST", mode: "no-cors", body: "{}" })),
    };
"""


def test_another_site_can_do_nothing_with_the_cookie_of_who_is_signed_in(
    guarded_console: Console, guarded: Guarded, other_site: str, session: str
) -> None:
    console, browser = guarded_console, guarded_console.browser
    turn_id = guarded.post(guarded.acme, session)
    console.open_turn(turn_id)
    sign_in(browser, guarded.acme)
    console.status("completed")

    browser.open(other_site)
    came_of_it = browser.run(WITH_THE_COOKIE, console.url, turn_id, f"{session}-foreign")
    browser.log()

    assert came_of_it["heard"] == "refused"
    assert came_of_it["read"] == came_of_it["marked"] == "TypeError: Failed to fetch"
    assert guarded.status_of(guarded.acme, f"/v1/sessions/{session}-foreign") == 404
    console.open_turn(turn_id)
    browser.until_text("acme · tenant", "#who")  # nobody signed them out, or in as somebody else
    browser.driver.delete_all_cookies()
