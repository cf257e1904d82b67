"""What a gateway takes from an issuer over HTTP, and what it does not."""

import json

import pytest

from argosy.gateway.key_fetch import IssuerAwayError, KeyFetch
from argosy.identity.issuer import is_safe
from tests.identity.signed_tokens import Signer, set_of
from tests.identity.web_server import JSON, WebServer

SIGNER = Signer("key")


async def test_a_set_is_read_once_and_then_only_when_it_has_changed(web: WebServer) -> None:
    web.answer("/keys", 200, set_of(SIGNER), {**JSON, "ETag": '"one"', "Cache-Control": "public, max-age=600"})
    fetch = KeyFetch("https://login.example", f"{web.url}/keys")

    first = await fetch.fetch("")
    web.answer("/keys", 304, b"", {"Cache-Control": "max-age=60"})
    second = await fetch.fetch(first.etag)
    await fetch.close()

    assert first.keys is not None
    assert ([key.kid for key in first.keys], first.etag, first.max_age_s) == (["key"], '"one"', 600.0)
    assert (second.keys, second.etag, second.max_age_s) == (None, '"one"', 60.0)
    assert [headers.get("if-none-match") for _, headers in web.seen] == [None, '"one"']


async def test_the_address_of_the_keys_is_found_in_the_issuers_configuration(web: WebServer) -> None:
    found = {"issuer": f"{web.url}/realm", "jwks_uri": f"{web.url}/keys"}
    web.answer("/realm/.well-known/openid-configuration", 200, json.dumps(found).encode())
    web.answer("/keys", 200, set_of(SIGNER))
    fetch = KeyFetch(f"{web.url}/realm", "")

    fetched = await fetch.fetch("")
    await fetch.close()

    assert fetched.raw == set_of(SIGNER)


@pytest.mark.parametrize(
    "found",
    [
        {"issuer": "https://other.example", "jwks_uri": "{url}/keys"},
        {"issuer": "{url}/realm/", "jwks_uri": "{url}/keys"},
        {"issuer": "{url}/realm", "jwks_uri": "http://login.example/keys"},
        {"issuer": "{url}/realm", "jwks_uri": "file:///etc/passwd"},
        {"issuer": "{url}/realm", "jwks_uri": ["{url}/keys"]},
        {"issuer": "{url}/realm"},
        [],
    ],
)
async def test_a_configuration_that_contradicts_the_settings_is_not_taken(web: WebServer, found: object) -> None:
    text = json.dumps(found).replace("{url}", web.url)
    web.answer("/realm/.well-known/openid-configuration", 200, text.encode())
    web.answer("/keys", 200, set_of(SIGNER))
    fetch = KeyFetch(f"{web.url}/realm", "")

    with pytest.raises(IssuerAwayError):
        await fetch.fetch("")
    await fetch.close()

    assert [path for path, _ in web.seen] == ["/realm/.well-known/openid-configuration"]


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (302, b"", {"Location": "/elsewhere"}),
        (307, b"", {"Location": "http://169.254.169.254/latest"}),
        (304, b"", JSON),  # nobody asked whether it has changed
        (404, set_of(SIGNER), JSON),
        (500, b"", JSON),
        (200, set_of(SIGNER), {"Content-Type": "text/html"}),
        (200, set_of(SIGNER), {}),
        (200, b'{"keys":[]}', JSON),
        (200, b"{", JSON),
        (200, b'{"keys":[' + b" " * 300_000 + b"]}", JSON),
    ],
)
async def test_what_is_no_set_of_keys_is_not_taken_and_leads_nowhere(
    web: WebServer, status: int, body: bytes, headers: dict[str, str]
) -> None:
    web.answer("/keys", status, body, headers)
    web.answer("/elsewhere", 200, set_of(SIGNER))
    fetch = KeyFetch("https://login.example", f"{web.url}/keys")

    with pytest.raises(IssuerAwayError):
        await fetch.fetch("")
    await fetch.close()

    assert [path for path, _ in web.seen] == ["/keys"]


async def test_an_issuer_that_sends_a_byte_now_and_then_is_given_up(web: WebServer) -> None:
    web.answer("/keys", 200, set_of(SIGNER))
    web.trickles = True
    fetch = KeyFetch("https://login.example", f"{web.url}/keys", timeout_s=0.5)

    with pytest.raises(IssuerAwayError, match="Timeout"):
        await fetch.fetch("")
    await fetch.close()


async def test_an_issuer_that_is_not_there_is_away() -> None:
    fetch = KeyFetch("https://login.example", "http://127.0.0.1:9/keys")

    with pytest.raises(IssuerAwayError):
        await fetch.fetch("")
    await fetch.close()


async def test_a_proxy_of_the_environment_is_not_asked(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", web.url)
    monkeypatch.setenv("ALL_PROXY", web.url)
    fetch = KeyFetch("https://login.example", "http://127.0.0.1:9/keys")

    with pytest.raises(IssuerAwayError):
        await fetch.fetch("")
    await fetch.close()

    assert web.seen == []


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://login.example/keys", True),
        ("http://127.0.0.1:80/keys", True),
        ("http://localhost/keys", True),
        ("http://[::1]/keys", True),
        ("http://login.example/keys", False),
        ("http://localhost.evil.example/keys", False),
        ("ftp://login.example/keys", False),
        ("https:///keys", False),
        ("/keys", False),
        ("https://[::1/keys", False),
        ("", False),
    ],
)
def test_keys_come_over_https_or_from_this_machine(url: str, expected: bool) -> None:
    assert is_safe(url) is expected
