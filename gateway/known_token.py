"""A token as a gateway has it in memory: whose it is, and until when it is good.

A gateway may know 100,000 of them, few of which are used: each has what its row says in some 250 bytes, and becomes a
Principal when it is first used.
"""

import math
import sys
import uuid
from functools import lru_cache
from struct import Struct
from typing import Final, NamedTuple

from argosy.identity.principal import Principal, PrincipalKind
from argosy.identity.scopes import Scope, expand
from argosy.store.identity import TokenRow

REVOKED: Final = 0.0  # as the end of a token: before every time
# What is seldom asked for lies in one bytes object: its id, the number of the change that wrote it, and behind them the
# id of its subject, if it has another. An int of its own would take 32 bytes, and a uuid.UUID 80.
_ROW: Final = Struct("<16sq")


class _Grant(NamedTuple):
    """What a token allows. Many tokens share one."""

    scopes: frozenset[Scope]
    sessions: tuple[str, ...] | None
    workflows: tuple[str, ...] | None
    roles: tuple[str, ...]


class KnownToken:
    """One token. It is the same object for as long as the process knows the token, and changes with it: streams that
    were asked for with it look here whether it is still good.

    ends_at_ms: in Unix time; REVOKED: it has ended. written_at_ms: when this process last wrote of its use. holds:
    streams, waits and uploads under way. _row: as _ROW says.
    """

    __slots__ = (
        "_grant",
        "_principal",
        "_row",
        "_tenant",
        "ends_at_ms",
        "hash",
        "holds",
        "written_at_ms",
    )

    ends_at_ms: float
    _row: bytes
    _tenant: str | None
    _grant: _Grant

    def __init__(self, row: TokenRow) -> None:
        self.hash = row.hash
        self._principal: Principal | None = None
        self.holds = 0
        self.written_at_ms = 0
        self._take(row)

    @property
    def token_id(self) -> uuid.UUID:
        return uuid.UUID(bytes=_ROW.unpack_from(self._row)[0])

    @property
    def change_no(self) -> int:
        """The number of the change that wrote it last."""
        no: int = _ROW.unpack_from(self._row)[1]
        return no

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
        self.ends_at_ms, self._row = other.ends_at_ms, other._row
        self._tenant, self._grant, self._principal = other._tenant, other._grant, None

    def end(self) -> None:
        """End it: its row is gone."""
        self.ends_at_ms = REVOKED

    def _take(self, row: TokenRow) -> None:
        subject = b"" if row.subject_id is None else row.subject_id.bytes
        self._row = _ROW.pack(row.token_id.bytes, row.change_no) + subject
        # Rows of one tenant have as many copies of its name.
        self._tenant = None if row.tenant is None else sys.intern(row.tenant)
        self._grant = _grant_of(row.role, tuple(row.scopes), row.sessions, row.workflows)
        self._principal = None
        self.ends_at_ms = math.inf if row.expires_at is None else row.expires_at.timestamp() * 1_000
        if row.revoked_at is not None:
            self.ends_at_ms = REVOKED

    def _made_principal(self) -> Principal:
        token_id, subject = self.token_id, self._row[_ROW.size :]
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
