"""The copy of tokens and tenants in this process's memory, by which the credential of a request is checked.

It reads what was written every GATEWAY_CACHE_S, so a change is in every gateway within twice GATEWAY_CACHE_S while
Postgres answers. While it does not, what is known stands for IDENTITY_STALE_S_MAX, and then for nothing (`is_stale`).

A token that is not here may be newer than the copy: it is looked up, within the bounds of lookups.py. The answer is
taken only if the copy took in no change while it was asked for: that change may have been the end of this very token,
and would not be read again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final, TypeVar

from argosy import telemetry
from argosy.clock import Clock
from argosy.config import Settings
from argosy.errors import StoreUnavailableError
from argosy.gateway.known_identities import KnownIdentities
from argosy.gateway.known_login import KnownLogin
from argosy.gateway.known_token import KnownToken
from argosy.gateway.login_cache import LoginCache
from argosy.gateway.lookups import LookupRefusedError, Lookups
from argosy.gateway.problems import RETRY_AFTER_S, Problem
from argosy.identity.tenant import TenantState
from argosy.identity.tenant_limits import TenantLimits
from argosy.rounds import Rounds
from argosy.store.identity import Identities, RevocationRow, TenantRow, TokenRow
from argosy.store.logins import LoginRow

Row = TypeVar("Row", TokenRow, KnownToken, TenantRow, RevocationRow, LoginRow)
Answer = TypeVar("Answer")

PAGE_ROWS: Final = 2_000  # of one read
_TRIES: Final = 3  # of a look-up that a change came in between of
_FORGET_S: Final = 3_600.0  # tokens that have ended are forgotten after this
_WRITTEN_MS: Final = 300_000  # as often the row of a token hears that it is used
_EXPIRING_MS: Final = 7 * 86_400_000


class IdentityCache:
    """Tokens and logins by the hash of each, and tenants by name. Used from one event loop."""

    def __init__(self, settings: Settings, identities: Identities, read_timeout_s: float, clock: Clock) -> None:
        self._identities = identities
        self._interval_s = settings.gateway_cache_s
        self._read_timeout_s = read_timeout_s
        # A copy whose reads succeed is never too old, whatever the setting.
        self._age_s_max = max(settings.identity_stale_s_max, 2 * self._interval_s)
        self._tokens_max = settings.identity_tokens_max
        self._clock = clock
        self._rounds = Rounds("identity", clock)
        self._known = KnownIdentities(settings.identity_tokens_max)
        self._read_at_s: float | None = None  # when the last read began that Postgres answered
        self._forget_due_s = clock.monotonic_s() + _FORGET_S
        self._used: dict[KnownToken, int] = {}  # when, in Unix time (ms)
        self._tokens = Lookups(_Tokens(identities, self._known, read_timeout_s), clock)
        self._tenants = Lookups(_Tenants(identities, self._known, read_timeout_s), clock)
        self.logins = LoginCache(settings, identities.logins, self._known, read_timeout_s, clock)
        self._reading: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Read everything, if Postgres answers, and start to read what is written from now on."""
        await self.refresh()
        self._task = asyncio.get_running_loop().create_task(self._refresh_forever())

    async def close(self) -> None:
        tasks = [task for task in (self._task, self._reading) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._tokens.close()
        await self._tenants.close()
        await self.logins.lookups.close()

    @property
    def age_s(self) -> float | None:
        """Seconds since the copy was what Postgres has; None before the first read."""
        return None if self._read_at_s is None else self._clock.monotonic_s() - self._read_at_s

    @property
    def is_stale(self) -> bool:
        """Whether the copy is too old to be believed."""
        return self._read_at_s is None or self._clock.monotonic_s() - self._read_at_s > self._age_s_max

    @property
    def inactive(self) -> dict[str, TenantState]:
        """The state of each tenant that is not active."""
        return self._known.inactive

    def limits_of(self, tenant: str) -> TenantLimits | None:
        """Return a tenant's own limits, if it is known to have any."""
        return self._known.limits.get(tenant)

    def find(self, digest: bytes) -> KnownToken | None:
        """Return the token with this hash, if it is known; it may have ended."""
        return self._known.find(digest)

    def used(self, token: KnownToken, now_ms: int) -> None:
        """Note that a token was used."""
        self._used[token] = now_ms

    async def look_up(self, digest: bytes) -> KnownToken | None:
        """Return a token that was not known, or None if there is none. Raises Problem when that cannot be told."""
        return await self._looked_up(self._tokens, digest)

    async def look_up_login(self, digest: bytes) -> KnownLogin | None:
        """Return a login that was not known, or seems idle; None if there is none. Raises Problem as look_up does."""
        return await self._looked_up(self.logins.lookups, digest)

    def tenant_state(self, name: str) -> TenantState | None:
        """Return the state of a tenant, if it is known."""
        return self._known.state_of(name)

    async def look_up_tenant(self, name: str) -> TenantState | None:
        """Return the state of a tenant that was not known. Raises Problem when it cannot be told."""
        return await self._looked_up(self._tenants, name.encode())

    def is_revoked(self, issuer: str, subject: str, tenant: str, issued_at_s: float) -> bool:
        """Whether an access token is good no more that was issued to a subject then, for a tenant ('': for none)."""
        return self._known.is_revoked(issuer, subject, tenant, issued_at_s)

    async def refresh(self) -> None:
        """Read now; several callers share one read. Return when Postgres has answered, or has not in time."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self._read())
        await asyncio.shield(self._reading)

    async def refresh_after(self) -> None:
        """Read now, and take over what this process has just written."""
        if self._reading is not None and not self._reading.done():
            await asyncio.shield(self._reading)  # it may have begun before
        await self.refresh()

    async def write_uses(self) -> None:
        """Write when tokens were last used, for those of which that was not written lately. Raises
        StoreUnavailableError.
        """
        used, self._used = self._used, {}
        due = [(token, at_ms) for token, at_ms in used.items() if at_ms - token.written_at_ms >= _WRITTEN_MS]
        for begin in range(0, len(due), PAGE_ROWS):
            batch = due[begin : begin + PAGE_ROWS]
            await self._identities.touch_tokens({token.token_id: _moment(at_ms) for token, at_ms in batch})
            for token, at_ms in batch:
                token.written_at_ms = at_ms

    def expiring(self) -> int:
        """Return how many of the known tokens end within _EXPIRING_MS."""
        now_ms = self._clock.unix_ms()
        return self._known.expiring(now_ms, now_ms + _EXPIRING_MS)

    async def _looked_up(self, lookups: Lookups[Answer], key: bytes) -> Answer | None:
        age_s = self.age_s
        if age_s is None or age_s > 2 * self._interval_s + self._read_timeout_s:
            raise unavailable("Postgres does not answer, and the credential is not among those that are known")
        try:
            return await lookups.find(key)
        except LookupRefusedError:
            raise unavailable("too many unknown credentials are being looked up now") from None
        except (StoreUnavailableError, TimeoutError):
            raise unavailable("Postgres did not answer") from None

    async def _read(self) -> None:
        began_s = self._clock.monotonic_s()
        try:
            async with asyncio.timeout(self._read_timeout_s):
                changes = await self._identities.changes_no()
            known = self._known
            is_whole = known.is_gap(changes)
            if changes != known.changes:
                since = 0 if is_whole else known.changes.no
                revocations = await self._rows(self._identities.revocations_since, since)
                # Tokens first: the tenant of a token is there before it. Taken over at once, without an await: what is
                # looked up is taken before all of this, or after it.
                if is_whole:
                    tokens = await self._rows(self._known_tokens_since, 0, self._tokens_max)
                    tenants = await self._rows(self._identities.tenants_since, 0)
                    logins_held = await self.logins.find_held()
                    asked = await self._ask_for_held(tokens) if len(tokens) > self._tokens_max else None
                    known.take_all(changes, tokens, tenants, asked)
                    known.take_all_revocations(revocations)
                    self.logins.take_all(logins_held)
                else:
                    rows = await self._rows(self._identities.tokens_since, known.changes.no)
                    tenants = await self._rows(self._identities.tenants_since, known.changes.no)
                    logins = await self._rows(self._identities.logins.since, known.changes.no)
                    known.take_changes(changes, rows, tenants)
                    known.take_revocations(revocations)
                    self.logins.take_changes(logins)
            await self._forget_gone()
        except Exception as error:
            self._rounds.say(error)  # what is known stands, and its age is shown
        else:
            self._read_at_s = began_s

    async def _forget_gone(self) -> None:
        """Forget tenants whose deletion is over: a name that is free is no other than one that never was."""
        known = self._known
        deleted, changes = known.deleted(), known.changes
        if not deleted:
            return
        async with asyncio.timeout(self._read_timeout_s):
            there = await self._identities.names_of_tenants(deleted)
        if known.changes == changes:  # else one of them may have been made again
            known.forget_tenants(set(deleted) - set(there))

    async def _rows(
        self, read: Callable[[int, int], Awaitable[list[Row]]], since: int, rows_max: int | None = None
    ) -> list[Row]:
        """Return the rows of all changes after `since`. rows_max: what is beyond will be looked up."""
        rows: list[Row] = []
        while True:
            async with asyncio.timeout(self._read_timeout_s):
                page = await read(since, PAGE_ROWS)
            rows += page
            if len(page) < PAGE_ROWS or (rows_max is not None and len(rows) > rows_max):
                return rows
            since = page[-1].change_no

    async def _known_tokens_since(self, no: int, limit: int) -> list[KnownToken]:
        """Return tokens as memory keeps them: the rows of all that there are would take four times as much."""
        return [KnownToken(row) for row in await self._identities.tokens_since(no, limit)]

    async def _ask_for_held(self, tokens: list[KnownToken]) -> set[bytes]:
        """Add to tokens, which may not be all that there are, those of open requests; return the hashes of all that
        were asked for. Streams are not to end because there are many tokens.
        """
        asked = {token.hash for token in tokens}
        while due := self._known.held_beyond(asked)[:PAGE_ROWS]:  # requests are opened meanwhile
            asked.update(due)
            async with asyncio.timeout(self._read_timeout_s):
                tokens += map(KnownToken, await self._identities.find_tokens(due))
        return asked

    async def _refresh_forever(self) -> None:
        while True:
            await self._clock.sleep(self._interval_s)
            async with self._rounds:
                await self.refresh()
                self._forget_ended()
            age_s = self.age_s
            telemetry.IDENTITY_AGE_S.set(-1 if age_s is None else age_s)

    def _forget_ended(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s >= self._forget_due_s:
            self._forget_due_s = now_s + _FORGET_S
            self._known.forget_ended(self._clock.unix_ms() - _FORGET_S * 1_000)


class _Tokens:
    """Asks Postgres for tokens. See lookups.Asker."""

    def __init__(self, identities: Identities, known: KnownIdentities, timeout_s: float) -> None:
        self._identities = identities
        self._known = known
        self._timeout_s = timeout_s

    async def ask(self, key: bytes) -> KnownToken | None:
        for _ in range(_TRIES):
            changes = self._known.changes
            async with asyncio.timeout(self._timeout_s):
                found = await self._identities.find_token(key)
            if self._known.changes == changes:
                if found is None:
                    return None
                row, tenant = found
                if tenant is not None:
                    self._known.take_tenants([tenant])
                return self._known.take(row)
        raise unavailable("tokens change too often now to look one up")


class _Tenants:
    """Asks Postgres for tenants. See lookups.Asker."""

    def __init__(self, identities: Identities, known: KnownIdentities, timeout_s: float) -> None:
        self._identities = identities
        self._known = known
        self._timeout_s = timeout_s

    async def ask(self, key: bytes) -> TenantState | None:
        async with asyncio.timeout(self._timeout_s):
            row = await self._identities.get_tenant(key.decode())
        if row is None:
            return None
        self._known.take_tenants([row])
        return row.state


def _moment(unix_ms: int) -> datetime:
    return datetime.fromtimestamp(unix_ms / 1_000, UTC)


def unavailable(why: str) -> Problem:
    """Return the problem of a request whose credential cannot be checked now."""
    return Problem("identity_unavailable", f"{why}: try again", retry_after_s=RETRY_AFTER_S)
