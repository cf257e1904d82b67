"""The logins that this process knows, how unknown ones are looked up, and until when they may be unused.

A login is known where it was used; identity_cache.py reads where one ends. When it was last used is written every five
minutes, so another gateway hears of it so much later. Therefore a login that seems idle is looked up once more, and
only then refused.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from argosy.clock import Clock
from argosy.config import Settings
from argosy.gateway.known_identities import KnownIdentities
from argosy.gateway.known_login import KnownLogin, KnownLogins
from argosy.gateway.lookups import LookupRefusedError, Lookups
from argosy.store.logins import LoginRow, Logins

_TRIES: Final = 3  # of a look-up that a change came in between of
_WRITTEN_MS: Final = 300_000  # as often the row of a login hears that it is used
_PAGE_ROWS: Final = 2_000


class LoginCache:
    """Logins by the hash of each. Used from one event loop."""

    def __init__(
        self, settings: Settings, stored: Logins, identities: KnownIdentities, read_timeout_s: float, clock: Clock
    ) -> None:
        self.stored = stored
        self._read_timeout_s = read_timeout_s
        self._idle_ms = settings.login_idle_s * 1_000
        self._written_ms = min(_WRITTEN_MS, self._idle_ms / 4)
        self._known = KnownLogins(settings.identity_tokens_max)
        self._used: set[KnownLogin] = set()
        self.lookups = Lookups(_Stored(stored, identities, self._known, read_timeout_s), clock)

    def find(self, digest: bytes) -> KnownLogin | None:
        """Return the login with this hash, if it is known; it may have ended."""
        return self._known.find(digest)

    def take(self, row: LoginRow) -> KnownLogin:
        """Take over a login that this process has made or ended."""
        return self._known.take(row)

    async def find_held(self) -> dict[bytes, LoginRow | None]:
        """Return what there is of the logins of open requests, by their hashes; None: nothing. Raises
        StoreUnavailableError, TimeoutError.
        """
        held = self._known.held()
        found = dict[bytes, LoginRow | None].fromkeys(held)
        for begin in range(0, len(held), _PAGE_ROWS):
            async with asyncio.timeout(self._read_timeout_s):
                rows = await self.stored.find_all(held[begin : begin + _PAGE_ROWS])
            found |= {row.hash: row for row in rows}
        return found

    def take_changes(self, rows: Sequence[LoginRow]) -> None:
        """Take over what was written."""
        self._known.take_changes(rows)

    def take_all(self, found: Mapping[bytes, LoginRow | None]) -> None:
        """Take over what `find_held` found, and forget all others: everything is another now."""
        self._known.take_all(found)

    def used(self, login: KnownLogin, now_ms: float) -> None:
        """Note that a login was used."""
        login.use(now_ms + self._idle_ms)
        self._used.add(login)

    async def write_uses(self) -> None:
        """Write until when logins may be unused, for those of which that was not written lately. Raises
        StoreUnavailableError.
        """
        used, self._used = self._used, set()
        due = [each for each in used if each.idle_at_ms - each.written_until_ms >= self._written_ms]
        for begin in range(0, len(due), _PAGE_ROWS):
            batch = {each: each.idle_at_ms for each in due[begin : begin + _PAGE_ROWS]}
            await self.stored.touch({each.hash: _moment(until_ms) for each, until_ms in batch.items()})
            for each, until_ms in batch.items():
                each.written_until_ms = until_ms


class _Stored:
    """Asks Postgres for logins. See lookups.Asker."""

    def __init__(self, stored: Logins, identities: KnownIdentities, known: KnownLogins, timeout_s: float) -> None:
        self._stored = stored
        self._identities = identities
        self._known = known
        self._timeout_s = timeout_s

    async def ask(self, key: bytes) -> KnownLogin | None:
        for _ in range(_TRIES):
            changes = self._identities.changes
            async with asyncio.timeout(self._timeout_s):
                row = await self._stored.find(key)
            if self._identities.changes == changes:
                return None if row is None else self._known.take(row)
        raise LookupRefusedError


def _moment(unix_ms: float) -> datetime:
    return datetime.fromtimestamp(unix_ms / 1_000, UTC)
