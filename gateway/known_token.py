"""A token as a gateway has it in memory: whose it is, and until when it is good."""

import math
from datetime import datetime
from typing import Final

from argosy.identity.principal import Principal, PrincipalKind
from argosy.identity.scopes import expand
from argosy.store.identity import TokenRow

REVOKED: Final = 0.0  # as the end of a token: before every time


class KnownToken:
    """One token. It is the same object for as long as the process knows the token, and changes with it: streams that
    were asked for with it look here whether it is still good.

    ends_at_ms: in Unix time; REVOKED: it has ended. used_at_ms: when this process saw it last. holds: streams, waits
    and uploads under way.
    """

    __slots__ = ("change_no", "ends_at_ms", "hash", "holds", "principal", "token_id", "used_at_ms", "written_at_ms")

    def __init__(self, row: TokenRow) -> None:
        self.hash = row.hash
        self.token_id = row.token_id
        self.holds = 0
        self.used_at_ms = self.written_at_ms = 0
        self._take(row)

    def update(self, row: TokenRow) -> None:
        """Take over what was written to it, unless it knows of something newer."""
        if row.change_no > self.change_no:
            self._take(row)

    def replace(self, row: TokenRow) -> None:
        """Take over its row from a database that went back: the row may be older than what was known."""
        self._take(row)

    def end(self) -> None:
        """End it: its row is gone."""
        self.ends_at_ms = REVOKED

    def _take(self, row: TokenRow) -> None:
        self.change_no = row.change_no
        self.principal = principal_of(row)
        expires_at_s = self.principal.expires_at_s
        self.ends_at_ms = math.inf if expires_at_s is None else expires_at_s * 1_000
        if row.revoked_at is not None:
            self.ends_at_ms = REVOKED


def principal_of(row: TokenRow) -> Principal:
    """Return whom a token makes of a request."""
    return Principal(
        PrincipalKind.TOKEN,
        str(row.token_id),
        row.tenant,
        expand(row.role, row.scopes),
        token_id=row.token_id,
        expires_at_s=_unix_s(row.expires_at),
        sessions=row.sessions,
        workflows=row.workflows,
    )


def _unix_s(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
