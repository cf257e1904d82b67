"""A gateway that asks for tokens, with two tenants, and who signs in there."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Final

import httpx2

from argosy.identity.api_token import TokenKind, digest, hint, mint
from argosy.identity.scopes import Role
from argosy.store.audit import Act
from argosy.store.identity import Identities, NewToken
from argosy.store.pool import Pool
from tests.console.browser import Browser
from tests.harness.fleet import Fleet

ADMIN: Final = f"an-administrators-{uuid.uuid4().hex}"


class Guarded:
    """See above. acme, other: tokens of the two tenants."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.url = fleet.url
        self._ids: dict[str, uuid.UUID] = {}

    def prepare(self) -> None:
        asyncio.run(self._write(self._prepared))
        self.acme, self.other = self.token("acme"), self.token("other")

    def token(self, tenant: str, role: Role = Role.TENANT) -> str:
        token = mint(TokenKind.TENANT)
        token_id = self._ids[token] = uuid.uuid4()
        new = NewToken(token_id, digest(token), tenant, "t", role, (), None, None, hint(token), "a test", 3_600.0)
        asyncio.run(self._write(lambda identities: identities.create_token(new, _act(tenant))))
        return token

    def revoke(self, token: str) -> None:
        asyncio.run(
            self._write(lambda identities: identities.revoke_token(self._ids[token], None, _act("acme"))),
        )

    def post(self, token: str, session: str) -> str:
        headers = {"authorization": f"Bearer {token}"}
        content = {"workflow": "echo", "input": "hello"}
        answer = httpx2.post(f"{self.url}/v1/sessions/{session}/turns", json=content, headers=headers, trust_env=False)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["turn_id"])

    def status_of(self, token: str, path: str) -> int:
        """The status with which a program is answered."""
        headers = {"authorization": f"Bearer {token}"}
        return int(httpx2.get(f"{self.url}{path}", headers=headers, trust_env=False).status_code)

    async def _write(self, write: Callable[[Identities], Awaitable[object]]) -> None:
        pool = Pool(self.fleet.environment["STATE_DB_URI"], 2, 30.0)
        try:
            await write(Identities(pool))
        finally:
            await pool.close()

    async def _prepared(self, identities: Identities) -> None:
        for tenant in ("acme", "other"):
            await identities.create_tenant(tenant, _act(tenant))


def _act(tenant: str) -> Act:
    return Act("local", "a test", None, tenant, "test")


def sign_in(browser: Browser, token: str, tenant: str = "") -> None:
    browser.until_text("This gateway asks for a token", "main")
    browser.fill("Token", token)
    browser.fill("Tenant", tenant)
    browser.click("Sign in", "form button")
