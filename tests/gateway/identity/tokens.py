"""Tokens and tenants, made in the store itself, for requests of tests."""

import uuid
from collections.abc import Sequence
from typing import NamedTuple

from argosy.identity import api_token
from argosy.identity.scopes import Role
from argosy.identity.tenant import TenantState
from argosy.store.audit import Act
from argosy.store.identity import Identities, NewToken
from argosy.store.pool import Pool


class Made(NamedTuple):
    """A token that a test may use. headers: of a request with it."""

    token: str
    token_id: uuid.UUID

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}


class Tokens:
    """Makes them. tenant: of the test, nobody else's."""

    def __init__(self, pool: Pool, tenant: str) -> None:
        self.stored = Identities(pool)
        self.tenant = tenant

    async def make_tenant(self, name: str) -> None:
        await self.stored.create_tenant(name, _act("tenant.create", name))

    async def suspend(self, name: str, state: TenantState = TenantState.SUSPENDED) -> None:
        await self.stored.set_tenant_state(name, state, _act("tenant.suspend", name))

    async def make(
        self,
        role: Role | None = Role.TENANT,
        *,
        scopes: Sequence[str] = (),
        tenant: str | None = None,
        sessions: Sequence[str] | None = None,
        workflows: Sequence[str] | None = None,
        lifetime_s: float | None = 3_600,
    ) -> Made:
        """A token of the test's tenant, unless another is named."""
        return await self._make(tenant or self.tenant, role, scopes, sessions, workflows, lifetime_s)

    async def make_operator(
        self, role: Role | None = Role.OPERATOR, *, scopes: Sequence[str] = (), lifetime_s: float | None = 3_600
    ) -> Made:
        """A token of the installation."""
        return await self._make(None, role, scopes, None, None, lifetime_s)

    async def revoke(self, made: Made) -> None:
        await self.stored.revoke_token(made.token_id, None, _act("token.revoke", None))

    async def _make(
        self,
        tenant: str | None,
        role: Role | None,
        scopes: Sequence[str],
        sessions: Sequence[str] | None,
        workflows: Sequence[str] | None,
        lifetime_s: float | None,
    ) -> Made:
        kind = api_token.TokenKind.ADMIN if tenant is None else api_token.TokenKind.TENANT
        token = api_token.mint(kind)
        row = await self.stored.create_token(
            NewToken(
                uuid.uuid4(), api_token.digest(token), tenant, "of a test", role, list(scopes), sessions, workflows,
                api_token.hint(token), "test", lifetime_s,
            ),
            _act("token.create", tenant),
        )  # fmt: skip
        return Made(token, row.token_id)


def _act(action: str, tenant: str | None) -> Act:
    return Act("test", "test", None, tenant, action)
