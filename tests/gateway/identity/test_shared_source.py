"""Those behind one address, which is a proxy's, do not keep each other out with bad tokens."""

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from structlog.testing import capture_logs

from argosy import config
from argosy.gateway.audited import Audited
from argosy.gateway.authenticate import Authenticator
from argosy.gateway.failures import BURST
from argosy.gateway.identity_cache import IdentityCache
from argosy.gateway.problems import Problem
from argosy.gateway.request_origin import Origins
from argosy.identity import api_token
from argosy.identity.api_token import TokenKind, mint
from argosy.identity.tenant import TenantState
from argosy.store.logins import LoginRow
from tests.gateway.identity.test_identity_cache import Store
from tests.harness.hand_clock import HandClock, WaitingClock
from tests.identity.signed_tokens import Signer
from tests.identity.test_issuer_keys import Gateway, ScriptedIssuer

PROXY: Final = "10.0.0.1"
SIGNER: Final = Signer("issuer's")
STRANGER: Final = Signer("issuer's")


def login_row(digest: bytes, made_at: datetime) -> LoginRow:
    """A login of an issuer's user that nobody seems to have used for a second."""
    ends_at, idle_until = made_at + timedelta(hours=12), made_at - timedelta(seconds=1)
    return LoginRow(
        digest, uuid.uuid4(), "https://login.example|alice", None, "https://login.example", ("acme",), (), "acme",
        made_at, ends_at, idle_until, None, 1, (),
    )  # fmt: skip


def of(address: str, *fields: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http", "client": (address, 1), "headers": list(fields)}


class Asked:
    """A gateway that trusts an issuer, without its sockets."""

    def __init__(self, folder: Path) -> None:
        self.clock = WaitingClock(1_700_000_000.0)
        self.issuers = Gateway(ScriptedIssuer(SIGNER), folder, self.clock)
        settings = config.load({}, state_db_uri="postgresql://nowhere/x").model_copy(update={"kg_auth_required": True})
        store = Store()
        store.tenant("acme", TenantState.ACTIVE)
        self.cache = IdentityCache(settings, store, 2.0, self.clock)  # type: ignore[arg-type]
        audited = Audited(None, self.clock)  # type: ignore[arg-type]  # nothing is written
        self.authenticator = Authenticator(
            settings, self.cache, self.issuers.tokens, audited, self.clock, is_private=False
        )
        self._number = 0

    def token(self, subject: str, signer: Signer = SIGNER) -> str:
        """A token that nobody has shown yet."""
        self._number += 1
        return signer.token(self.issuers.claims() | {"sub": subject, "jti": self._number})

    async def verdict(self, token: str, address: str = PROXY) -> str:
        scope = of(address, (b"authorization", f"Bearer {token}".encode()))
        try:
            self.authenticator.known(scope) or await self.authenticator.look_up(scope)
        except Problem as problem:
            return problem.code
        return "good"

    async def flood(self) -> None:
        """Somebody behind the proxy sends bad tokens until the proxy's address has nothing left."""
        said = [await self.verdict(f"a.b.{number}") for number in range(int(BURST) + 1)]
        assert said == ["invalid_token"] * int(BURST) + ["rate_limited"]


@pytest.fixture
async def asked(tmp_path: Path) -> AsyncIterator[Asked]:
    asked = Asked(tmp_path)
    await asked.issuers.keys.open(is_needed=True)
    await asked.cache.refresh()
    yield asked
    await asked.issuers.keys.close()


async def test_who_was_let_in_lately_shows_a_new_token_beside_a_flood_of_bad_ones(asked: Asked) -> None:
    assert await asked.verdict(asked.token("alice")) == "good"
    await asked.flood()

    assert [await asked.verdict(asked.token("alice")) for _ in range(3)] == ["good"] * 3
    assert await asked.verdict(asked.token("bob")) == "rate_limited"
    assert await asked.verdict(asked.token("bob"), "10.0.0.2") == "good"
    assert await asked.verdict(asked.token("bob")) == "good", "they were let in, wherever they came from"


async def test_who_invents_tokens_of_somebody_slows_down_that_one_alone(asked: Asked) -> None:
    shown = asked.token("alice")
    assert [await asked.verdict(shown), await asked.verdict(asked.token("bob"))] == ["good", "good"]
    await asked.flood()

    said = [await asked.verdict(asked.token("alice", STRANGER)) for _ in range(int(BURST) + 3)]

    assert said == ["invalid_token"] * int(BURST) + ["rate_limited"] * 3
    assert await asked.verdict(asked.token("alice")) == "rate_limited"
    assert await asked.verdict(shown) == "good", "it is known"
    assert await asked.verdict(asked.token("bob")) == "good"
    assert await asked.verdict(asked.token("alice"), "10.0.0.2") == "good", "from another address"
    await asked.clock.move(0.6)
    assert await asked.verdict(asked.token("alice")) == "good"


async def test_who_was_not_let_in_for_an_hour_is_like_anybody(asked: Asked) -> None:
    assert await asked.verdict(asked.token("alice")) == "good"
    await asked.clock.move(3_601)
    await asked.cache.refresh()
    await asked.flood()

    assert await asked.verdict(asked.token("alice")) == "rate_limited"


async def test_a_login_that_seems_idle_is_looked_up_beside_a_flood(asked: Asked) -> None:
    secret, now_s = mint(TokenKind.LOGIN), asked.clock.now_s
    made_at = datetime.fromtimestamp(now_s, UTC)
    asked.cache.logins.take(login_row(api_token.digest(secret), made_at))
    await asked.flood()

    assert asked.authenticator.logins.known(of(PROXY), secret) is None, "it has to be looked up"
    with pytest.raises(Problem, match="too many bad credentials"):
        asked.authenticator.logins.known(of(PROXY), mint(TokenKind.LOGIN))


def test_a_proxy_that_is_not_trusted_is_told_of_once_an_hour_when_a_bad_token_comes_by_it() -> None:
    clock = HandClock()
    audited = Audited(None, clock)  # type: ignore[arg-type]  # nothing is written
    hops = (b"x-forwarded-for", b"198.51.100.7")
    with capture_logs() as logs:
        for later_s, scope in [
            (0, of("192.0.2.1")), (1, of(PROXY, hops)), (1, of("10.0.0.2", hops)), (3_600, of("10.0.0.2", hops))
        ]:  # fmt: skip
            clock.now_s += later_s
            Origins([]).settle(scope)
            audited.failed(scope, "unknown")

    assert [(each["event"], each["source"]) for each in logs] == [
        ("gateway.untrusted_proxy", PROXY), ("gateway.untrusted_proxy", "10.0.0.2")
    ]  # fmt: skip
