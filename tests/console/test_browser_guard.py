"""Which requests a gateway refuses because a browser may have sent them for somebody else."""

import httpx2
import pytest
from starlette.types import Receive, Scope, Send

from argosy.clock import SystemClock
from argosy.config import load
from argosy.gateway.boundary import Boundary
from argosy.gateway.browser_guard import BrowserGuard, is_foreign, is_own_name, name_in

OWN = frozenset({"127.0.0.1", "argosy.example"})


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("localhost:9000", "localhost"),
        ("LOCALHOST", "localhost"),
        ("localhost.:9000", "localhost"),
        ("127.0.0.1:9000", "127.0.0.1"),
        ("[::1]:9000", "::1"),
        ("[::1]", "::1"),
        ("", ""),
        ("a:b:c", "a"),
        ("[evil.example]:9000", "evil.example"),
    ],
)
def test_the_name_in_a_host_header(host: str, name: str) -> None:
    assert name_in(host) == name


@pytest.mark.parametrize(
    ("name", "on_loopback", "on_a_trusted_network"),
    [
        ("localhost", True, True),
        ("a.localhost", True, True),
        ("127.0.0.1", True, True),
        ("::1", True, True),
        ("192.168.1.20", True, True),  # an address cannot be rebound
        ("argosy.example", True, True),  # GATEWAY_HOSTS
        ("evil.example", False, False),
        ("sub.argosy.example", False, False),
        ("localhost.evil.example", False, False),
        ("127.0.0.1.evil.example", False, False),
        ("127.1", False, False),
        ("", False, False),
        ("gateway", False, True),  # a search domain of a hostile network could make it anybody's
        ("argosy.svc.cluster.local", False, True),
        ("argosy.internal", False, True),
        ("evillocal", False, True),
        ("x.evil-local", False, False),
    ],
)
def test_which_names_are_a_gateways_own(name: str, on_loopback: bool, on_a_trusted_network: bool) -> None:
    assert is_own_name(name, OWN, is_remote=False) is on_loopback
    assert is_own_name(name, OWN, is_remote=True) is on_a_trusted_network


HOST = {b"host": b"127.0.0.1:9000"}
LINK = {b"sec-fetch-site": b"cross-site", b"sec-fetch-mode": b"navigate", b"sec-fetch-dest": b"document"}


@pytest.mark.parametrize(
    ("what", "method", "headers", "expected"),
    [
        ("a program", "POST", {}, False),
        ("our own page", "POST", {b"origin": b"http://127.0.0.1:9000", b"sec-fetch-site": b"same-origin"}, False),
        ("behind a proxy that ends TLS", "POST", {b"origin": b"https://127.0.0.1:9000"}, False),
        ("behind a proxy that changes Host", "POST", {b"origin": b"https://argosy.example"}, False),
        ("typed by the reader", "GET", {b"sec-fetch-site": b"none"}, False),
        ("a link on another site", "GET", LINK, False),
        ("a form on another site", "POST", LINK, True),
        ("a frame on another site", "GET", LINK | {b"sec-fetch-dest": b"iframe"}, True),
        (
            "a script tag on another site",
            "GET",
            {b"sec-fetch-site": b"cross-site", b"sec-fetch-mode": b"no-cors"},
            True,
        ),
        ("another port of this machine", "GET", {b"sec-fetch-site": b"same-site", b"sec-fetch-mode": b"cors"}, True),
        ("another origin", "GET", {b"origin": b"http://evil.example"}, True),
        ("another port", "GET", {b"origin": b"http://127.0.0.1:9001"}, True),
        ("a page of a file", "GET", {b"origin": b"null"}, True),
        ("an origin that says nothing", "POST", {b"origin": b""}, True),
    ],
)
def test_which_requests_are_another_pages(what: str, method: str, headers: dict[bytes, bytes], expected: bool) -> None:
    assert is_foreign(method, HOST | headers, frozenset({"argosy.example"})) is expected, what


def test_a_name_that_is_not_the_gateways_is_refused_wherever_it_could_read(http: httpx2.Client) -> None:
    for path in ("/", "/console/app.js", "/v1/sessions", "/docs", "/openapi.json", "/nowhere"):
        answer = http.get(path, headers={"host": "rebound.example"})

        assert (path, answer.status_code, answer.json()["code"]) == (path, 421, "unknown_host")
        assert "GATEWAY_HOSTS" in answer.json()["detail"]


def test_what_asks_for_a_gateways_health_may_call_it_anything(http: httpx2.Client) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert http.get(path, headers={"host": "pool-7.balancer.example"}).status_code == 200


async def test_an_error_that_should_not_happen_is_no_script_of_another_page_either() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError

    guarded = Boundary(BrowserGuard(broken, load({})), SystemClock(), [])
    transport = httpx2.ASGITransport(guarded)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get("/v1/sessions")

    assert (answer.status_code, answer.headers["x-content-type-options"]) == (500, "nosniff")
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_no_answer_invites_another_origin(http: httpx2.Client) -> None:
    asked = {"origin": "http://127.0.0.1:1", "access-control-request-method": "POST"}
    answers = [
        http.get("/v1/sessions"), http.get("/"), http.options("/v1/sessions/s/turns", headers=asked),
        http.get("/v1/sessions", headers=asked), http.get("/v1/nowhere"),
    ]  # fmt: skip

    for answer in answers:
        assert [name for name in answer.headers if name.startswith("access-control-")] == []
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert [answer.status_code for answer in answers] == [200, 200, 403, 403, 404]
