"""Tenants and API tokens, and the numbers by which copies of them keep up.

Each write is one statement and one transaction, with the row of the audit that tells it. Each begins with the one row
of `identity_changes`, so writes come one after the other: see functions/identity.sql.

Raises: StoreUnavailableError
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg

from argosy.errors import ArgosyError
from argosy.identity.errors import (
    TenantExistsError,
    TenantNotFoundError,
    TokenNotFoundError,
    TokenRotatedError,
    TooManyRevocationsError,
    TooManyTokensError,
)
from argosy.identity.tenant import TenantState
from argosy.identity.tenant_limits import NO_LIMITS_OF_ITS_OWN, TenantLimits, read_limits
from argosy.store.audit import Act, arguments, tell
from argosy.store.erasure import NewErasure
from argosy.store.leader import write_as
from argosy.store.logins import Logins
from argosy.store.pool import Pool
from argosy.store.queries import load_queries

_SQL: Final = load_queries("identity")
_FIRST: Final = uuid.UUID(int=0)
_REFUSALS: Final[dict[str, type[ArgosyError]]] = {
    "AR101": TenantNotFoundError,
    "AR102": TenantExistsError,
    "AR103": TooManyTokensError,
    "AR104": TokenRotatedError,
    "AR105": TokenNotFoundError,
    "AR107": TooManyRevocationsError,
}


class Changes(NamedTuple):
    """How far the writes to tenants and tokens are. no: of the last one. lineage: another one after a failover or a
    restore, which may have lost writes: then numbers are given out again, and a copy must be read anew from 0.
    """

    lineage: int
    no: int


class TokenRow(NamedTuple):
    """A token. hash: api_token.digest of it. tenant: None: of the installation. scopes: its own, beside those of its
    role. sessions, workflows: patterns that limit it; None: they do not. expires_at: None: never. replaced_by: its
    successor, which a rotation made. change_no: of the last write to it, but for last_used_at. subject_id: of the token
    as which access control lists know it, the first one of its rotations; None: it is that one.
    """

    token_id: uuid.UUID
    hash: bytes
    tenant: str | None
    name: str
    role: str | None
    scopes: tuple[str, ...]
    sessions: tuple[str, ...] | None
    workflows: tuple[str, ...] | None
    hint: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str | None
    replaced_by: uuid.UUID | None
    last_used_at: datetime | None
    change_no: int
    subject_id: uuid.UUID | None


class TenantRow(NamedTuple):
    """A tenant. change_no: of the last write to it. limits: its own ones."""

    name: str
    state: TenantState
    created_at: datetime
    change_no: int
    limits: TenantLimits = NO_LIMITS_OF_ITS_OWN


class RevocationRow(NamedTuple):
    """Access tokens that were issued before a moment are good no more: those of a subject of an issuer, or those that
    name a tenant ('': none). expires_at: then they have ended by themselves. change_no: of the last write to it.
    """

    issuer: str
    subject: str
    tenant: str
    before: datetime
    expires_at: datetime
    change_no: int


class NewToken(NamedTuple):
    """A token that is to be made. lifetime_s: None: it never expires (the installation's first one)."""

    token_id: uuid.UUID
    hash: bytes
    tenant: str | None
    name: str
    role: str | None
    scopes: Sequence[str]
    sessions: Sequence[str] | None
    workflows: Sequence[str] | None
    hint: str
    created_by: str
    lifetime_s: float | None


class NewSuccessor(NamedTuple):
    """A token that takes the place of another one, with its name and its rights. It lives as long as that one was made
    to live, lifetime_s_max at the most, unless that is None.
    """

    token_id: uuid.UUID
    hash: bytes
    hint: str
    created_by: str
    lifetime_s_max: float | None = None


class Identities:
    """The rows of tenants and tokens. tokens_max: TENANT_TOKENS_MAX; by default its own bound, for who must get in."""

    def __init__(self, pool: Pool, tokens_max: int = 100_000) -> None:
        self.logins = Logins(pool)
        self._pool = pool
        self._tokens_max = tokens_max

    async def changes_no(self) -> Changes:
        """Return how far the writes are.

        A copy asks this first, then for the rows after the number that it has; then it has this number. So it misses
        nothing, and may read a row twice. Numbers become visible in the order in which they are given out.
        """
        return Changes(*await self._pool.fetchrow(_SQL["get_changes"]))

    async def tokens_since(self, no: int, limit: int) -> list[TokenRow]:
        """Return at most `limit` tokens that were written after a change, in the order of their changes, each of which
        has a number of its own. Ended ones are among them. Ones that ended long ago are deleted, and no copy hears it.
        """
        return [_token(row) for row in await self._pool.fetch(_SQL["tokens_since"], no, limit)]

    async def tenants_since(self, no: int, limit: int) -> list[TenantRow]:
        """Return at most `limit` tenants that were written after a change, as tokens_since does."""
        return [_tenant(row) for row in await self._pool.fetch(_SQL["tenants_since"], no, limit)]

    async def revocations_since(self, no: int, limit: int) -> list[RevocationRow]:
        """Return at most `limit` revocations that were written after a change, as tokens_since does."""
        return [RevocationRow(*row) for row in await self._pool.fetch(_SQL["revocations_since"], no, limit)]

    async def find_token(self, digest: bytes) -> tuple[TokenRow, TenantRow | None] | None:
        """Return the token with this hash, ended or not, and its tenant (None: of one of the installation)."""
        row = await self._pool.fetchrow(_SQL["find_token"], digest)
        if row is None:
            return None
        width = len(TokenRow._fields)
        return _token(row[:width]), None if row[width] is None else _tenant(row[width:])

    async def find_tokens(self, digests: Sequence[bytes]) -> list[TokenRow]:
        """Return the tokens with these hashes, ended or not, in any order."""
        return [_token(row) for row in await self._pool.fetch(_SQL["find_tokens"], digests)]

    async def list_tokens(self, tenant: str | None, after: uuid.UUID | None, limit: int) -> list[TokenRow]:
        """Return at most `limit` tokens, ended ones too, after an id, in the order of ids. tenant: None: of all tenants
        and of the installation.
        """
        after = after or _FIRST
        if tenant is None:
            rows = await self._pool.fetch(_SQL["list_tokens"], after, limit)
        else:
            rows = await self._pool.fetch(_SQL["list_tokens_of_tenant"], tenant, after, limit)
        return [_token(row) for row in rows]

    async def get_token(self, token_id: uuid.UUID, tenant: str | None) -> TokenRow | None:
        """Return a token. tenant: None: whosever it is, here and below; the caller has the right to act for any."""
        row = await self._pool.fetchrow(_SQL["get_token"], token_id, tenant)
        return None if row is None else _token(row)

    async def create_token(self, new: NewToken, act: Act) -> TokenRow:
        """Make a token. Raises TenantNotFoundError, TooManyTokensError."""
        return _token(await self._write(act, "create_token", *new, self._tokens_max))

    async def revoke_token(self, token_id: uuid.UUID, tenant: str | None, act: Act) -> None:
        """End a token now, if it has not been revoked before. Raises TokenNotFoundError."""
        await self._write(act, "revoke_token", token_id, tenant)

    async def rotate_token(
        self, token_id: uuid.UUID, tenant: str | None, new: NewSuccessor, overlap_s: float, act: Act
    ) -> TokenRow:
        """Make and return the successor of a token, which itself ends after overlap_s, or when it would have.

        Raises TokenNotFoundError (there is none, or it has ended), TokenRotatedError (it has a successor already, also
        one that was revoked), TooManyTokensError, TenantNotFoundError.
        """
        made = await self._write(act, "rotate_token", token_id, tenant, *new, overlap_s, self._tokens_max)
        return _token(made)

    async def touch_tokens(self, used: Mapping[uuid.UUID, datetime]) -> None:
        """Note when tokens were last used: at most once in 5 minutes for each, and not if somebody is writing to it."""
        if used:
            await self._pool.execute(_SQL["touch_tokens"], list(used), list(used.values()))

    async def list_tenants(self, after: str, limit: int) -> list[TenantRow]:
        """Return at most `limit` tenants after a name, in the order of the bytes of their names."""
        return [_tenant(row) for row in await self._pool.fetch(_SQL["list_tenants"], after, limit)]

    async def get_tenant(self, name: str) -> TenantRow | None:
        row = await self._pool.fetchrow(_SQL["get_tenant"], name)
        return None if row is None else _tenant(row)

    async def create_tenant(self, name: str, act: Act, *, keys_known_s: float = 0.0) -> TenantRow:
        """Make a tenant, which is active. keys_known_s: for how long processes may seal with keys that were destroyed.
        Raises TenantExistsError, also when keys of a tenant of this name were destroyed since.
        """
        return _tenant(await self._write(act, "create_tenant", name, keys_known_s))

    async def set_tenant_state(self, name: str, state: TenantState, act: Act) -> TenantRow:
        """Make a tenant active or suspended; nothing is written when it is. Raises TenantNotFoundError."""
        return _tenant(await self._write(act, "set_tenant_state", name, state))

    async def set_tenant_limits(self, name: str, change: str, act: Act) -> TenantRow:
        """Give a tenant limits of its own: those that the change has, a JSON object; a null takes one away, and others
        stay. Nothing is written when all are so. Raises TenantNotFoundError.
        """
        return _tenant(await self._write(act, "set_tenant_limits", name, change))

    async def names_of_tenants(self, names: Sequence[str]) -> list[str]:
        """Return those of these names that are still a tenant's, be it one that is being deleted."""
        return [row[0] for row in await self._pool.fetch(_SQL["names_of_tenants"], names)]

    async def delete_tenant(self, name: str, new: NewErasure, late_s: float, lifetime_s: float, act: Act) -> uuid.UUID:
        """Delete a tenant: its credentials end now, and an erasure begins; return its id, which is another one than
        that of `new` when the tenant is being deleted already. late_s: for how long something may come that was let in
        before. lifetime_s: of access tokens at the most. Raises TenantNotFoundError.
        """
        values = (name, new.erasure_id, new.lane, new.target_digest, late_s, lifetime_s)
        begun: uuid.UUID = (await self._write(act, "delete_tenant", *values))[0]
        return begun

    async def revoke_subject(
        self, issuer: str, subject: str, lifetime_s: float, revocations_max: int, act: Act
    ) -> tuple[datetime, datetime]:
        """End the access tokens of a subject that were issued by now; return that moment, and until when it is kept.
        lifetime_s: of such a token at the most. Raises TooManyRevocationsError.
        """
        row = await self._write(act, "revoke_subject", issuer, subject, lifetime_s, revocations_max)
        return row[0], row[1]

    async def purge_revocations(self, role: str, term: int, limit: int) -> int:
        """Delete at most `limit` revocations of what has ended by itself. Raises OwnershipLostError."""
        return int(await write_as(self._pool, _SQL["purge_revocations"], role, term, limit))

    async def purge_tokens(self, role: str, term: int, age_s: float, limit: int) -> int:
        """Delete at most `limit` tokens that ended at least age_s ago; how many. Raises OwnershipLostError."""
        return int(await write_as(self._pool, _SQL["purge_tokens"], role, term, age_s, limit))

    async def _write(self, act: Act, statement: str, *values: Any) -> Any:
        """Write something, with the act that the statement ends with."""
        try:
            written = await self._pool.fetchrow(_SQL[statement], *values, *arguments(act))
        except asyncpg.PostgresError as error:
            if refusal := _REFUSALS.get(error.sqlstate or ""):
                raise refusal(str(error)) from None
            raise
        tell(act)
        return written


def _token(row: Sequence[Any]) -> TokenRow:
    made = TokenRow(*row)
    return made._replace(
        scopes=tuple(made.scopes),
        sessions=None if made.sessions is None else tuple(made.sessions),
        workflows=None if made.workflows is None else tuple(made.workflows),
    )


def _tenant(row: Sequence[Any]) -> TenantRow:
    made = TenantRow(*row)
    return made._replace(state=TenantState(made.state), limits=read_limits(row[-1]))
