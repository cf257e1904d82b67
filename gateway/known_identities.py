"""Tokens and tenants as this process knows them: memory, and how what was read is taken over. No I/O.

With more than IDENTITY_TOKENS_MAX tokens the memory has those that were used last, and others have to be looked up.
"""

import itertools
from collections.abc import Container, Iterable, Sequence
from typing import Final

from argosy import telemetry
from argosy.gateway.known_token import KnownToken
from argosy.identity.tenant import TenantState
from argosy.identity.tenant_limits import NO_LIMITS_OF_ITS_OWN, TenantLimits
from argosy.store.identity import Changes, RevocationRow, TenantRow, TokenRow

log = telemetry.logger()

_BEGIN: Final = Changes(-1, 0)  # nothing is known yet
_HELD_MAX: Final = 1_000  # of the oldest tokens that may not be forgotten: so many are passed over


class KnownIdentities:
    """changes: up to which everything is known. inactive: the state of each tenant that is not active. limits: of each
    tenant that has its own.
    """

    def __init__(self, tokens_max: int) -> None:
        self.changes = _BEGIN
        self.inactive: dict[str, TenantState] = {}
        self.limits: dict[str, TenantLimits] = {}
        self._tokens_max = tokens_max
        self._is_partial = False
        self._tokens: dict[bytes, KnownToken] = {}
        self._tenants: dict[str, TenantRow] = {}
        self._revocations: dict[tuple[str, str, str], RevocationRow] = {}

    def find(self, digest: bytes) -> KnownToken | None:
        """Return the token with this hash, if it is known; it may have ended."""
        token = self._tokens.get(digest)
        if token is not None and self._is_partial:
            self._tokens[digest] = self._tokens.pop(digest)  # the last used at the end
        return token

    def state_of(self, tenant: str) -> TenantState | None:
        """Return the state of a tenant, if it is known."""
        row = self._tenants.get(tenant)
        return None if row is None else row.state

    def is_revoked(self, issuer: str, subject: str, tenant: str, issued_at_s: float) -> bool:
        """Whether an access token is good no more that was issued to a subject then, for a tenant ('': for none)."""
        if not self._revocations:
            return False
        of_subject, of_tenant = (issuer, subject, ""), ("", "", tenant)
        found = (self._revocations.get(each) for each in (of_subject, of_tenant))
        return any(row is not None and issued_at_s < row.before.timestamp() for row in found)

    def expiring(self, from_ms: int, until_ms: int) -> int:
        """Return how many of the known tokens end in a time."""
        return sum(from_ms < each.ends_at_ms <= until_ms for each in self._tokens.values())

    def is_gap(self, changes: Changes) -> bool:
        """Whether everything must be read anew: the database is another, or went back."""
        return changes.lineage != self.changes.lineage or changes.no < self.changes.no

    def take(self, row: TokenRow) -> KnownToken:
        """Take over a token."""
        token = self._tokens.get(row.hash)
        if token is None:
            token = self._tokens[row.hash] = KnownToken(row)
            self._make_room()
        else:
            token.update(row)
        return token

    def take_tenants(self, rows: Sequence[TenantRow]) -> None:
        """Take over tenants."""
        for row in rows:
            known = self._tenants.get(row.name)
            if known is None or row.change_no > known.change_no:
                self._tenants[row.name] = row
        if rows:
            self._note_tenants()

    def deleted(self) -> list[str]:
        """Return the tenants that are being deleted. No change tells when they are gone."""
        return [name for name, state in self.inactive.items() if state is TenantState.DELETED]

    def forget_tenants(self, names: Iterable[str]) -> None:
        """Forget tenants that are gone."""
        for name in names:
            self._tenants.pop(name, None)
        self._note_tenants()

    def take_revocations(self, rows: Sequence[RevocationRow]) -> None:
        """Take over revocations."""
        self._revocations |= {(row.issuer, row.subject, row.tenant): row for row in rows}

    def take_all_revocations(self, rows: Sequence[RevocationRow]) -> None:
        """Take over the revocations that there are, and no others."""
        self._revocations = {}
        self.take_revocations(rows)

    def take_changes(self, changes: Changes, tokens: Sequence[TokenRow], tenants: Sequence[TenantRow]) -> None:
        """Take over all that was written since `self.changes`, at once."""
        self.take_tenants(tenants)
        for row in tokens:
            if not self._is_partial or row.hash in self._tokens:
                self.take(row)
        self.changes = changes

    def held_beyond(self, asked: Container[bytes]) -> list[bytes]:
        """Return the hashes of tokens of open requests that are not among these."""
        return [digest for digest, token in self._tokens.items() if token.holds and digest not in asked]

    def take_all(
        self,
        changes: Changes,
        tokens: Sequence[KnownToken],
        tenants: Sequence[TenantRow],
        asked: Container[bytes] | None = None,
    ) -> None:
        """Take over everything that there is: what is not there any more has ended. asked: the hashes that were asked
        for, where that were not all: of others nobody knows, so they are forgotten, and looked up when they are used.
        """
        known, self._tokens, self._tenants, self._is_partial = self._tokens, {}, {}, False
        for read in tokens:
            token = known.pop(read.hash, None) or self._tokens.get(read.hash)  # it may have changed between two pages
            if token is None:
                token = read
            else:
                token.replace(read)
            self._tokens[token.hash] = token
        for token in known.values():
            if asked is None or token.hash in asked:
                token.end()
        self._make_room()
        self.inactive = {}
        self.take_tenants(tenants)
        self.changes = changes

    def forget_ended(self, before_ms: float) -> None:
        """Forget tokens that had ended by then, or were revoked; who uses one makes it known again. Forget revocations
        of what had ended by then.
        """
        self._revocations = {
            key: row for key, row in self._revocations.items() if row.expires_at.timestamp() * 1_000 > before_ms
        }
        self._tokens = {
            digest: token for digest, token in self._tokens.items() if token.holds or token.ends_at_ms > before_ms
        }

    def _note_tenants(self) -> None:
        self.inactive = {name: row.state for name, row in self._tenants.items() if row.state is not TenantState.ACTIVE}
        self.limits = {name: row.limits for name, row in self._tenants.items() if row.limits != NO_LIMITS_OF_ITS_OWN}

    def _make_room(self) -> None:
        """Forget what was used longest ago, but for tokens of streams that are open."""
        excess = len(self._tokens) - self._tokens_max
        if excess <= 0:
            return
        if not self._is_partial:
            self._is_partial = True
            log.warning(telemetry.IDENTITY_TOO_MANY_TOKENS, tokens_max=self._tokens_max)
        oldest = itertools.islice(self._tokens.items(), excess + _HELD_MAX)
        for digest in [digest for digest, token in oldest if not token.holds][:excess]:
            del self._tokens[digest]
