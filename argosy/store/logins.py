"""Login sessions of the console. Only hashes of their secrets are stored, as of tokens: see functions/login.sql.

Raises: StoreUnavailableError
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from argosy.store.audit import Act, arguments
from argosy.store.leader import write_as
from argosy.store.pool import Pool
from argosy.store.queries import load_queries

_SQL: Final = load_queries("login")


class LoginRow(NamedTuple):
    """A login. hash: api_token.digest of its secret. token_hash: of the token with which it was made, and with which it
    ends; None: it is of a user of `issuer`, with tenants, scopes and roles of its own. tenant: for which it acts unless
    a request names one. change_no: of the last write to it, but for idle_until. roles: as lists know the user.
    """

    hash: bytes
    login_id: uuid.UUID
    subject: str
    token_hash: bytes | None
    issuer: str | None
    tenants: tuple[str, ...]
    scopes: tuple[str, ...]
    tenant: str | None
    created_at: datetime
    expires_at: datetime
    idle_until: datetime
    revoked_at: datetime | None
    change_no: int
    roles: tuple[str, ...]


class NewLogin(NamedTuple):
    """A login to be made; see LoginRow. ends_at: when its token ends; None: never. logins_max: of the subject that are
    in force; one more ends the oldest. replaces: the hash of one that ends with it.
    """

    hash: bytes
    login_id: uuid.UUID
    subject: str
    token_hash: bytes | None
    issuer: str | None
    tenants: Sequence[str]
    scopes: Sequence[str]
    tenant: str | None
    lifetime_s: float
    ends_at: datetime | None
    idle_s: float
    logins_max: int
    replaces: bytes | None
    roles: Sequence[str]


class Logins:
    """The rows of logins."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def since(self, no: int, limit: int) -> list[LoginRow]:
        """Return at most `limit` logins that were written after a change: see Identities.tokens_since."""
        return [_login(row) for row in await self._pool.fetch(_SQL["logins_since"], no, limit)]

    async def find(self, digest: bytes) -> LoginRow | None:
        """Return the login with this hash, ended or not."""
        row = await self._pool.fetchrow(_SQL["find_login"], digest)
        return None if row is None else _login(row)

    async def find_all(self, digests: Sequence[bytes]) -> list[LoginRow]:
        """Return the logins with these hashes, ended or not, in any order."""
        return [_login(row) for row in await self._pool.fetch(_SQL["find_logins"], digests)]

    async def create(self, new: NewLogin, act: Act) -> LoginRow:
        """Make a login."""
        return _login(await self._pool.fetchrow(_SQL["create_login"], *new, *arguments(act)))

    async def revoke(self, digest: bytes, act: Act) -> bool:
        """End a login; whether it was in force."""
        return bool(await self._pool.fetchval(_SQL["revoke_login"], digest, *arguments(act)))

    async def touch(self, idle_until: Mapping[bytes, datetime]) -> None:
        """Note until when logins may be unused, each by its hash."""
        if idle_until:
            await self._pool.execute(_SQL["touch_logins"], list(idle_until), list(idle_until.values()))

    async def purge(self, role: str, term: int, age_s: float, limit: int) -> int:
        """Delete at most `limit` logins whose time was over age_s ago; how many. Raises OwnershipLostError."""
        return int(await write_as(self._pool, _SQL["purge_logins"], role, term, age_s, limit))


def _login(row: Sequence[Any]) -> LoginRow:
    made = LoginRow(*row)
    return made._replace(tenants=tuple(made.tenants), scopes=tuple(made.scopes), roles=tuple(made.roles))
