"""The keys of tenants, wrapped, as they stand in Postgres. They are never changed but for what wraps them.

Raises: StoreUnavailableError
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from argosy.seal.master import Wrapped
from argosy.store.pool import Pool
from argosy.store.queries import load_queries

_SQL: Final = load_queries("tenant_key")


class KeyRow(NamedTuple):
    """A key. is_digest: for digests of requests, not for payloads. master, wrapped: None once it was destroyed."""

    tenant: str
    key_id: int
    is_digest: bool
    master: str | None
    wrapped: bytes | None
    age_s: float

    @property
    def secret(self) -> Wrapped | None:
        """The wrapped key; None once it was destroyed."""
        return None if self.master is None or self.wrapped is None else Wrapped(self.master, self.wrapped)


class TenantKeys:
    """Reads and writes rows of `tenant_keys`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def of(self, tenants: Sequence[str]) -> dict[str, list[KeyRow]]:
        """Return all keys of these tenants, the newest of each first."""
        found: dict[str, list[KeyRow]] = {each: [] for each in tenants}
        for row in await self._pool.fetch(_SQL["list_tenant_keys"], tenants):
            found[row[0]].append(KeyRow(*row))
        return found

    async def add(self, tenant: str, key_id: int, wrapped: Wrapped, *, is_digest: bool) -> None:
        """Add a key. Nothing happens when its number is given to another one by now: read again, and use that."""
        await self._pool.execute(_SQL["insert_tenant_key"], tenant, key_id, is_digest, *wrapped)

    async def after(self, tenant: str, key_id: int, limit: int) -> list[KeyRow]:
        """Return keys of all tenants after this one, in order, without those that were destroyed."""
        return [KeyRow(*row) for row in await self._pool.fetch(_SQL["list_keys_after"], tenant, key_id, limit)]

    async def rewrap(self, row: KeyRow, wrapped: Wrapped) -> None:
        """Let another master key wrap a key. Nothing happens when the row is not as it was read."""
        await self._pool.execute(_SQL["rewrap_tenant_key"], row.tenant, row.key_id, row.master, row.wrapped, *wrapped)

    async def masters(self) -> dict[str, int]:
        """Return the names of the master keys that wrap keys here, and how many each."""
        return {row[0]: row[1] for row in await self._pool.fetch(_SQL["list_masters"])}

    async def destroy(self, tenant: str) -> int:
        """Destroy the keys of a tenant, for good. Return how many there were."""
        return int(await self._pool.fetchval(_SQL["destroy_tenant_keys"], tenant))
