"""A token as a gateway has it in memory: whose it is, and until when it is good.

A gateway may know 100,000 of them, few of which are used: each has what its row says in some 350 bytes, and becomes a
Principal when it is first used.
"""

import math
import sys
import uuid
from functools import lru_cache
from typing import Final, NamedTuple

from argosy.identity.principal import Principal, PrincipalKind
from argosy.identity.scopes import Scope, expand
from argosy.store.identity import TokenRow

REVOKED: Final = 0.0  # as the end of a token: before every time
_ID_SIZE_BYTES: Final = 16


class _Grant(NamedTuple):
    """What a token allows. Many tokens share one."""

    scopes: frozenset[Scope]
    sessions: tuple[str, ...] | None
    workflows: tuple[str, ...] | None
    roles: tuple[str, ...]


class KnownToken:
    """One token. It is the same object for as long as the process knows the token, and changes with it: streams that
    were asked for with it look here whether it is still good.

    ends_at_ms: in Unix time; REVOKED: it has ended. used_at_ms: when this process saw it last. holds: streams, waits
    and uploads under way. _id: its id, and behind it that of its subject, if it has another: most have none, and so
    take no room for it.
    """

    __slots__ = (
        "_grant",
        "_id",
        "_principal",
        "_tenant",
        "change_no",
        "ends_at_ms",
        "hash",
        "holds",
        "used_at_ms",
        "written_at_ms",
    )

    change_no: int
    ends_at_ms: float
    _tenant: str | None
    _grant: _Grant

    def __init__(self, row: TokenRow) -> None:
        self.hash = row.hash
        self._id = row.token_id.bytes + (b"" if row.subject_id is None else row.subject_id.bytes)
        self._principal: Principal | None = None
        self.holds = 0
        self.used_at_ms = self.written_at_ms = 0
        self._take(row)

    @property
    def token_id(self) -> uuid.UUID:
        return uuid.UUID(bytes=self._id[:_ID_SIZE_BYTES])

    @property
    def principal(self) -> Principal:
        """Whom the token makes of a request; the same object until the token changes."""
        return self._principal or self._made_principal()

    def update(self, row: TokenRow) -> None:
        """Take over what was written to it, unless it knows of something newer."""
        if row.change_no > self.change_no:
            self._take(row)

    def replace(self, other: "KnownToken") -> None:
        """Take over what it is in a database that went back: that may be older than what was known."""
        self.change_no, self.ends_at_ms, self._id = other.change_no, other.ends_at_ms, other._id
        self._tenant, self._grant, self._principal = other._tenant, other._grant, None

    def end(self) -> None:
        """End it: its row is gone."""
        self.ends_at_ms = REVOKED

    def _take(self, row: TokenRow) -> None:
        self.change_no = row.change_no
        # Rows of one tenant have as many copies of its name.
        self._tenant = None if row.tenant is None else sys.intern(row.tenant)
        self._grant = _grant_of(row.role, tuple(row.scopes), row.sessions, row.workflows)
        self._principal = None
        self.ends_at_ms = math.inf if row.expires_at is None else row.expires_at.timestamp() * 1_000
        if row.revoked_at is not None:
            self.ends_at_ms = REVOKED

    def _made_principal(self) -> Principal:
        token_id, subject = self.token_id, self._id[_ID_SIZE_BYTES:]
        expires_at_s = None if self.ends_at_ms == math.inf else self.ends_at_ms / 1_000
        made = self._principal = Principal(
            PrincipalKind.TOKEN,
            str(token_id),
            self._tenant,
            self._grant.scopes,
            token_id=token_id,
            expires_at_s=expires_at_s,
            sessions=self._grant.sessions,
            workflows=self._grant.workflows,
            roles=self._grant.roles,
            subject=str(uuid.UUID(bytes=subject)) if subject else "",
        )
        return made


@lru_cache(maxsize=1_024)
def _grant_of(
    role: str | None, scopes: tuple[str, ...], sessions: tuple[str, ...] | None, workflows: tuple[str, ...] | None
) -> _Grant:
    return _Grant(expand(role, scopes), sessions, workflows, () if role is None else (role,))
