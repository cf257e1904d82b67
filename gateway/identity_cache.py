"""The copy of tokens and tenants in this process's memory, by which the credential of a request is checked.

It reads what was written every GATEWAY_CACHE_S, so a change is in every gateway within twice GATEWAY_CACHE_S while
Postgres answers. While it does not, what is known stands for IDENTITY_STALE_S_MAX, and then for nothing (`is_stale`).

A token that is not here may be newer than the copy: it is looked up, within the bounds of lookups.py. The answer is
taken only if the copy took in no change while it was asked for: that change may have been the end of this very token,
and would not be read again.

With more than IDENTITY_TOKENS_MAX tokens the copy has those that were used last, and others are looked up.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Final, TypeVar

from argosy import telemetry
from argosy.clock import Clock
from argosy.config import Settings
from argosy.errors import StoreUnavailableError
from argosy.gateway.known_token import KnownToken
from argosy.gateway.lookups import LookupRefusedError, Lookups
from argosy.gateway.problems import RETRY_AFTER_S, Problem
from argosy.identity.tenant import TenantState
from argosy.rounds import Rounds
from argosy.store.identity import Changes, Identities, TenantRow, TokenRow

log = telemetry.logger()

Row = TypeVar("Row", TokenRow, TenantRow)
Answer = TypeVar("Answer")

_PAGE_ROWS: Final = 2_000  # of one read
_TRIES: Final = 3  # of a look-up that a change came in between of
_BEGIN: Final = Changes(-1, 0)  # the copy has nothing yet
_FORGET_S: Final = 3_600.0  # tokens that have ended are forgotten after this
_WRITTEN_MS: Final = 300_000  # as often the row of a token hears that it is used
EXPIRING_MS: Final = 7 * 86_400_000


class IdentityCache:
    """Tokens by the hash of each, and tenants by name. Used from one event loop.

    inactive: the state of each tenant that is not active.
    """

    def __init__(self, settings: Settings, identities: Identities, read_timeout_s: float, clock: Clock) -> None:
        self.inactive: dict[str, TenantState] = {}
        self._identities = identities
        self._interval_s = settings.gateway_cache_s
        self._read_timeout_s = read_timeout_s
        # A copy whose reads succeed is never too old, whatever the setting.
        self._age_s_max = max(settings.identity_stale_s_max, 2 * self._interval_s)
        self._tokens_max = settings.identity_tokens_max
        self._clock = clock
        self._rounds = Rounds("identity", clock)
        self._changes = _BEGIN
        self._is_partial = False
        self._read_at_s: float | None = None  # when the last read began that Postgres answered
        self._forget_due_s = clock.monotonic_s() + _FORGET_S
        self._tokens: dict[bytes, KnownToken] = {}
        self._tenants: dict[str, TenantRow] = {}
        self._used: set[KnownToken] = set()
        self._token_lookups = Lookups(self._ask_token, clock)
        self._tenant_lookups = Lookups(self._ask_tenant, clock)
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
        await self._token_lookups.close()
        await self._tenant_lookups.close()

    @property
    def age_s(self) -> float | None:
        """Seconds since the copy was what Postgres has; None before the first read."""
        return None if self._read_at_s is None else self._clock.monotonic_s() - self._read_at_s

    @property
    def is_stale(self) -> bool:
        """Whether the copy is too old to be believed."""
        return self._read_at_s is None or self._clock.monotonic_s() - self._read_at_s > self._age_s_max

    def find(self, digest: bytes) -> KnownToken | None:
        """Return the token with this hash, if it is known; it may have ended."""
        token = self._tokens.get(digest)
        if token is not None and self._is_partial:
            self._tokens[digest] = self._tokens.pop(digest)  # the last used at the end
        return token

    def used(self, token: KnownToken, now_ms: int) -> None:
        """Note that a token was used."""
        token.used_at_ms = now_ms
        self._used.add(token)

    async def look_up(self, digest: bytes) -> KnownToken | None:
        """Return a token that was not known, or None if there is none. Raises Problem when that cannot be told."""
        return await self._looked_up(self._token_lookups, digest)

    def tenant_state(self, name: str) -> TenantState | None:
        """Return the state of a tenant, if it is known."""
        row = self._tenants.get(name)
        return None if row is None else row.state

    async def look_up_tenant(self, name: str) -> TenantState | None:
        """Return the state of a tenant that was not known. Raises Problem when it cannot be told."""
        row = await self._looked_up(self._tenant_lookups, name.encode())
        return None if row is None else row.state

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
        used, self._used = self._used, set()
        due = [each for each in used if each.used_at_ms - each.written_at_ms >= _WRITTEN_MS]
        for begin in range(0, len(due), _PAGE_ROWS):
            batch = due[begin : begin + _PAGE_ROWS]
            await self._identities.touch_tokens({each.token_id: _moment(each.used_at_ms) for each in batch})
            for each in batch:
                each.written_at_ms = each.used_at_ms

    def expiring(self) -> int:
        """Return how many of the known tokens end within EXPIRING_MS."""
        now_ms = self._clock.unix_ms()
        return sum(now_ms < each.ends_at_ms <= now_ms + EXPIRING_MS for each in self._tokens.values())

    # Look-ups

    async def _looked_up(self, lookups: Lookups[Answer], key: bytes) -> Answer | None:
        if self._is_away:
            raise unavailable("Postgres does not answer, and the credential is not among those that are known")
        try:
            return await lookups.find(key)
        except LookupRefusedError:
            raise unavailable("too many unknown credentials are being looked up now") from None
        except (StoreUnavailableError, TimeoutError):
            raise unavailable("Postgres did not answer") from None

    @property
    def _is_away(self) -> bool:
        """Whether the last read is so old that Postgres does not seem to answer."""
        age_s = self.age_s
        return age_s is None or age_s > 2 * self._interval_s + self._read_timeout_s

    async def _ask_token(self, digest: bytes) -> KnownToken | None:
        for _ in range(_TRIES):
            changes = self._changes
            async with asyncio.timeout(self._read_timeout_s):
                found = await self._identities.find_token(digest)
            if self._changes == changes:
                if found is None:
                    return None
                row, tenant = found
                if tenant is not None:
                    self._take_tenants([tenant])
                return self._take(row)
        raise unavailable("tokens change too often now to look one up")

    async def _ask_tenant(self, name: bytes) -> TenantRow | None:
        async with asyncio.timeout(self._read_timeout_s):
            row = await self._identities.get_tenant(name.decode())
        if row is not None:
            self._take_tenants([row])
        return row

    # What was read is taken over

    def _take(self, row: TokenRow) -> KnownToken:
        token = self._tokens.get(row.hash)
        if token is None:
            token = self._tokens[row.hash] = KnownToken(row)
            self._make_room()
        else:
            token.update(row)
        return token

    def _make_room(self) -> None:
        """Forget what was used longest ago, but for tokens of streams that are open."""
        excess = len(self._tokens) - self._tokens_max
        if excess <= 0:
            return
        if not self._is_partial:
            self._is_partial = True
            log.warning(telemetry.IDENTITY_TOO_MANY_TOKENS, tokens_max=self._tokens_max)
        oldest = itertools.islice(self._tokens.items(), excess + 1_000)
        for digest in [digest for digest, token in oldest if not token.holds][:excess]:
            del self._tokens[digest]

    def _take_tenants(self, rows: Sequence[TenantRow]) -> None:
        for row in rows:
            known = self._tenants.get(row.name)
            if known is None or row.change_no > known.change_no:
                self._tenants[row.name] = row
        if rows:
            self.inactive = {
                name: row.state for name, row in self._tenants.items() if row.state is not TenantState.ACTIVE
            }

    def _take_all(self, tokens: Sequence[TokenRow], tenants: Sequence[TenantRow]) -> None:
        """Take over everything that there is: what is not there any more has ended (the database was restored)."""
        known, self._tokens, self._tenants, self._is_partial = self._tokens, {}, {}, False
        for row in tokens:
            token = known.pop(row.hash, None)
            if token is None:
                token = KnownToken(row)
            else:
                token.change_no = -1
                token.update(row)
            self._tokens[row.hash] = token
        for token in known.values():
            token.end()
        self._make_room()
        self.inactive = {}
        self._take_tenants(tenants)

    async def _read(self) -> None:
        began_s = self._clock.monotonic_s()
        try:
            changes = await self._in_time(self._identities.changes_no())
            is_whole = changes.lineage != self._changes.lineage or changes.no < self._changes.no
            if is_whole or changes.no != self._changes.no:
                since = 0 if is_whole else self._changes.no
                # Tokens first: the tenant of a token is there before it.
                tokens = await self._rows(self._identities.tokens_since, since, self._tokens_max if is_whole else None)
                tenants = await self._rows(self._identities.tenants_since, since)
                # From here on no await: what is looked up meanwhile is taken before all of this, or after it.
                if is_whole:
                    self._take_all(tokens, tenants)
                else:
                    self._take_tenants(tenants)
                    for row in tokens:
                        if not self._is_partial or row.hash in self._tokens:
                            self._take(row)
                self._changes = changes
        except Exception as error:
            self._rounds.say(error)  # what is known stands, and its age is shown
        else:
            self._read_at_s = began_s

    async def _rows(
        self, read: Callable[[int, int], Awaitable[list[Row]]], since: int, rows_max: int | None = None
    ) -> list[Row]:
        """Return the rows of all changes after `since`. rows_max: what is beyond will be looked up."""
        rows: list[Row] = []
        while True:
            page = await self._in_time(read(since, _PAGE_ROWS))
            rows += page
            if len(page) < _PAGE_ROWS or (rows_max is not None and len(rows) > rows_max):
                return rows
            since = page[-1].change_no

    async def _in_time(self, answer: Awaitable[Answer]) -> Answer:
        async with asyncio.timeout(self._read_timeout_s):
            return await answer

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
        if now_s < self._forget_due_s:
            return
        self._forget_due_s = now_s + _FORGET_S
        before_ms = self._clock.unix_ms() - _FORGET_S * 1_000
        self._tokens = {
            digest: token for digest, token in self._tokens.items() if token.holds or token.ends_at_ms > before_ms
        }


def _moment(unix_ms: int) -> datetime:
    return datetime.fromtimestamp(unix_ms / 1_000, UTC)


def unavailable(why: str) -> Problem:
    """Return the problem of a request whose credential cannot be checked now."""
    return Problem("identity_unavailable", f"{why}: try again", retry_after_s=RETRY_AFTER_S)
