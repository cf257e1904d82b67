"""Every operation of the API, asked with access tokens of an issuer, and with logins of the console: these get what API
tokens of the same rights get, and nothing else.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

import pytest

from argosy.config import Settings
from argosy.identity.api_token import TokenKind, mint
from argosy.identity.scopes import OF_TENANTS, Role, Scope
from tests.gateway.asked import MARK, Answer, World, untouched
from tests.gateway.identity.browser_page import SAME_ORIGIN, TOUCHED
from tests.gateway.operations import GUARDED
from tests.identity.signed_tokens import Signer, part, set_of
from tests.identity.web_server import served

_FROM_ELSEWHERE: Final = {"sec-fetch-site": "cross-site"}


class Issuer(NamedTuple):
    """One that gateways of these tests trust."""

    url: str
    signer: Signer

    def token(self, tenant: str | None, scope: str, signer: Signer | None = None, **changes: Any) -> str:
        """Return an access token. changes: other claims; None: it lacks that one."""
        now_s = int(time.time())
        claims = {
            "iss": self.url, "aud": "argosy", "sub": "agent", "tenant": tenant, "scope": scope, "iat": now_s,
            "exp": now_s + 300, **changes,
        }  # fmt: skip
        return (signer or self.signer).token({name: value for name, value in claims.items() if value is not None})


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    signer = Signer("only")
    with served() as web:
        web.answer("/keys", 200, set_of(signer))
        yield Issuer(web.url, signer)


@pytest.fixture
def settings_with_tokens(settings_with_tokens: Settings, issuer: Issuer) -> Settings:
    trusted = {"auth_jwt_issuer": issuer.url, "auth_jwt_jwks_uri": f"{issuer.url}/keys", "auth_jwt_audience": "argosy"}
    return settings_with_tokens.model_copy(update=trusted)


def words(scopes: Iterable[Scope]) -> str:
    return " ".join(sorted(scopes))


async def signed_in(world: World, token: str) -> dict[str, str]:
    """Return what the console's page sends with every request, once somebody has pasted a token."""
    body = json.dumps({"token": token}).encode()
    page = SAME_ORIGIN | TOUCHED
    answer = await world.ask_raw("POST", "/v1/login", body, page | {"content-type": "application/json"})
    assert answer.status == 201, answer
    return page | {"cookie": answer.headers["set-cookie"].partition(";")[0]}


def told_what_it_lacks(key: tuple[str, str], answer: Answer) -> None:
    assert (answer.status, answer.code) == (403, "insufficient_scope"), (key, answer)
    assert json.loads(answer.text)["scope"] == GUARDED[key].scope
    assert not answer.was_read, key


async def finds_nothing_of_the_owner(world: World, ask: Callable[[tuple[str, str]], object]) -> None:
    for key, op in GUARDED.items():
        if op.is_of_installation or (op.is_endless and not op.missing):
            continue
        answer = await ask(key)  # type: ignore[misc]
        if op.missing:
            assert (answer.status, answer.code) == (404, op.missing), (key, answer)
        else:
            assert answer.status < 400, (key, answer)
        assert MARK not in answer.text, key
    await untouched(world)


async def test_a_bad_access_token_is_one_answer_whatever_is_wrong_with_it(world: World, issuer: Issuer) -> None:
    full, now_s = words(OF_TENANTS), int(time.time())
    good = issuer.token(world.owner, full)
    bad = {
        "expired": issuer.token(world.owner, full, iat=now_s - 900, exp=now_s - 600),
        "for ever": issuer.token(world.owner, full, exp=None),
        "of tomorrow": issuer.token(world.owner, full, iat=now_s + 86_400, exp=now_s + 86_700),
        "for somebody else": issuer.token(world.owner, full, aud="somebody-else"),
        "of somebody else": issuer.token(world.owner, full, iss="https://somebody.example"),
        "signed by somebody else": issuer.token(world.owner, full, Signer("only")),
        "of nobody": issuer.token(world.owner, full, sub=None),
        "of no tenant": issuer.token(None, full),
        "not signed": f"{part({'alg': 'none', 'typ': 'at+jwt'})}.{good.split('.')[1]}.",
        "an ID token": issuer.token(world.owner, full, nonce="x"),
        "bound to a key": issuer.token(world.owner, full, cnf={"jkt": "x"}),
    }
    bodies = set()

    for key in GUARDED:
        for what, token in bad.items():
            answer = await world.ask(key, token)
            assert (answer.status, answer.code) == (401, "invalid_token"), (key, what, answer)
            assert not answer.was_read, key
            bodies.add(answer.text)

    assert len(bodies) == 1
    await untouched(world)


async def test_an_access_token_that_lacks_the_scope_is_told_which(world: World, issuer: Issuer) -> None:
    for key, op in GUARDED.items():
        if op.scope is not None:
            token = issuer.token(world.owner, words(OF_TENANTS - {op.scope}))
            told_what_it_lacks(key, await world.ask(key, token))
    await untouched(world)


@pytest.mark.parametrize("who", ["stranger", "twin"])
async def test_an_access_token_finds_nothing_of_another_tenant(world: World, issuer: Issuer, who: str) -> None:
    tenant = world.stranger if who == "stranger" else world.twin
    token = issuer.token(tenant, words(OF_TENANTS))

    await finds_nothing_of_the_owner(world, lambda key: world.ask(key, token))


async def test_a_cookie_that_is_none_or_comes_from_elsewhere_does_nothing(world: World) -> None:
    good = await signed_in(world, await world.token(world.owner, Role.TENANT))
    unknown = good | {"cookie": f"argosy={mint(TokenKind.LOGIN)}"}

    for key in GUARDED:
        answer = await world.ask(key, None, **unknown)
        assert (answer.status, answer.code) == (401, "invalid_token"), (key, answer)
        assert not answer.was_read, key
        answer = await world.ask(key, None, **(good | _FROM_ELSEWHERE))
        assert answer.status == 403, (key, answer)
        assert not answer.was_read, key
    await untouched(world)


async def test_a_login_that_lacks_the_scope_is_told_which(world: World) -> None:
    lacking = {
        scope: await signed_in(world, await world.token(world.owner, scopes=OF_TENANTS - {scope}))
        for scope in OF_TENANTS
    }
    full = await signed_in(world, await world.token(world.owner, Role.TENANT))

    for key, op in GUARDED.items():
        if op.scope is not None:
            told_what_it_lacks(key, await world.ask(key, None, **lacking.get(op.scope, full)))
    await untouched(world)


@pytest.mark.parametrize("who", ["stranger", "twin"])
async def test_a_login_finds_nothing_of_another_tenant(world: World, who: str) -> None:
    tenant = world.stranger if who == "stranger" else world.twin
    page = await signed_in(world, await world.token(tenant, Role.TENANT))

    await finds_nothing_of_the_owner(world, lambda key: world.ask(key, None, **page))
