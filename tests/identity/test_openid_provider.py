"""What a gateway asks an OpenID provider, and what it does not take from it."""

import json
from base64 import b64decode
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

import pytest

from argosy.gateway.key_fetch import IssuerAwayError
from argosy.gateway.openid_provider import OpenIdProvider, Places, RefusedError
from tests.harness.hand_clock import HandClock
from tests.identity.web_server import WebServer

CONFIGURATION = "/.well-known/openid-configuration"
TOKENS = {"token_type": "Bearer", "access_token": "a", "id_token": "i", "refresh_token": "r"}


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def provider(web: WebServer, clock: HandClock) -> AsyncIterator[OpenIdProvider]:
    provider = OpenIdProvider(web.url, "console", "a+b &c", "https://argosy", clock)
    yield provider
    await provider.close()


def configure(web: WebServer, **changed: Any) -> None:
    found = {"issuer": web.url, "authorization_endpoint": f"{web.url}/auth", "token_endpoint": f"{web.url}/token"}
    web.answer(CONFIGURATION, 200, json.dumps(found | changed).encode())


async def test_where_people_sign_in_is_asked_now_and_then_and_known_while_it_is_silent(
    web: WebServer, provider: OpenIdProvider, clock: HandClock
) -> None:
    configure(web, authorization_response_iss_parameter_supported=True)
    there = Places(f"{web.url}/auth", f"{web.url}/token", True)

    assert [await provider.places() for _ in range(3)] == [there] * 3
    assert len(web.seen) == 1
    web.answer(CONFIGURATION, 500, b"")
    clock.now_s += 301
    assert [await provider.places() for _ in range(3)] == [there] * 3
    assert len(web.seen) == 2


@pytest.mark.parametrize(
    "changed",
    [
        {"issuer": "https://elsewhere.example"},
        {"token_endpoint": "http://login.example/token"},
        {"token_endpoint": "ftp://127.0.0.1/token"},
        {"token_endpoint": None},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "https://login.example/auth#fragment"},
    ],
)
async def test_no_address_is_taken_that_is_less_safe_than_the_issuer(
    web: WebServer, provider: OpenIdProvider, changed: dict[str, Any]
) -> None:
    configure(web, **changed)

    with pytest.raises(IssuerAwayError):
        await provider.places()


async def test_a_code_is_handed_in_with_what_proves_whose_it_is(web: WebServer, provider: OpenIdProvider) -> None:
    configure(web)
    web.answer("/token", 200, json.dumps(TOKENS).encode())

    assert await provider.exchange("the code", "https://argosy.example/back", "verifier") == ("a", "i")

    path, headers = web.seen[-1]
    assert path == "/token"
    assert b64decode(headers["authorization"].removeprefix("Basic ")) == b"console:a%2Bb+%26c"
    assert parse_qs(web.posted[0].decode()) == {
        "grant_type": ["authorization_code"], "code": ["the code"], "redirect_uri": ["https://argosy.example/back"],
        "code_verifier": ["verifier"], "resource": ["https://argosy"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("status", "answer", "error"),
    [
        (400, {"error": "invalid_grant"}, RefusedError),
        (401, {"error": "invalid_client"}, RefusedError),
        (200, TOKENS | {"token_type": "DPoP"}, RefusedError),
        (200, TOKENS | {"id_token": None}, RefusedError),
        (200, TOKENS | {"access_token": "x" * 70_000}, RefusedError),
        (200, TOKENS | {"more": "x" * 300_000}, IssuerAwayError),
        (200, [], IssuerAwayError),
        (302, {}, IssuerAwayError),
        (500, {}, IssuerAwayError),
    ],
)
async def test_what_is_no_answer_to_a_code_is_refused(
    web: WebServer, provider: OpenIdProvider, status: int, answer: Any, error: type[Exception]
) -> None:
    configure(web)
    headers = {"Content-Type": "application/json", "Location": f"{web.url}/elsewhere"}
    web.answer("/token", status, json.dumps(answer).encode(), headers)

    with pytest.raises(error):
        await provider.exchange("code", "https://argosy.example/back", "verifier")
    assert [path for path, _ in web.seen] == [CONFIGURATION, "/token"]
