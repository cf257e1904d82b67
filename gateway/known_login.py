"""Logins as a gateway has them in memory: those that were used here last."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from argosy.gateway.access_tokens import Issued
from argosy.gateway.known_token import REVOKED, KnownToken
from argosy.identity.principal import Principal, PrincipalKind
from argosy.identity.scopes import known
from argosy.store.logins import LoginRow


class KnownLogin:
    """One login. It is the same object for as long as the process knows the login: streams look here whether it is
    good.

    ends_at_ms: in Unix time, for good. idle_at_ms: unless it is used before, here or at another gateway; so it is
    looked up once more. token: with which it was made, and with which it ends; None: an issuer's user, or
    ARGOSY_ADMIN_TOKEN. said: of an issuer's user: who that is, and when they signed in; a revocation of that subject
    ends it. principal: whom it makes of a request. tenants: of which each request names one. tenant: which it is
    without.
    """

    __slots__ = (
        "change_no", "ends_at_ms", "hash", "holds", "idle_at_ms", "issuer", "login_id", "principal", "said",
        "tenant", "tenants", "token", "token_hash", "written_until_ms",
    )  # fmt: skip

    def __init__(self, row: LoginRow) -> None:
        self.hash = row.hash
        self.login_id = row.login_id
        self.token_hash = row.token_hash
        self.issuer = row.issuer
        self.tenant = row.tenant
        self.said: Issued | None = None
        if row.issuer is not None:
            subject = row.subject.removeprefix(f"{row.issuer}|")
            self.said = Issued(row.issuer, subject, row.created_at.timestamp())
        self.tenants = row.tenants
        self.holds = 0
        self.token: KnownToken | None = None
        self.idle_at_ms = self.written_until_ms = 0.0
        own = row.tenants[0] if len(row.tenants) == 1 else None
        self.principal = Principal(
            PrincipalKind.LOGIN,
            row.subject,
            own,
            known(row.scopes),
            expires_at_s=row.expires_at.timestamp(),
            roles=row.roles,
        )
        self._take(row)

    def update(self, row: LoginRow) -> None:
        """Take over what was written to it, unless it knows of something newer."""
        if row.change_no >= self.change_no:
            self._take(row)

    def replace(self, row: LoginRow | None) -> None:
        """Take over what it is in a database that went back: maybe older than what was known. None: it is gone."""
        if row is None:
            self.ends_at_ms = REVOKED
        else:
            self._take(row)

    def use(self, until_ms: float) -> None:
        """Note that it was used, so that it is not idle until then."""
        self.idle_at_ms = max(self.idle_at_ms, until_ms)

    def of_token(self, token: KnownToken | None, found: Principal) -> None:
        """Take over the rights of the token with which it was made. token: None: ARGOSY_ADMIN_TOKEN."""
        if self.token is token and self.principal.scopes is found.scopes:
            return
        ends_at_s = min(self.principal.expires_at_s or 0.0, found.expires_at_s or float("inf"))
        self.token = token
        self.tenants = () if found.tenant is None else (found.tenant,)
        self.principal = found._replace(kind=PrincipalKind.LOGIN, expires_at_s=ends_at_s)

    def is_over(self, now_ms: float) -> bool:
        """Whether it has ended for good, or its token has."""
        return self.ends_at_ms <= now_ms or (self.token is not None and self.token.ends_at_ms <= now_ms)

    def _take(self, row: LoginRow) -> None:
        self.change_no = row.change_no
        self.ends_at_ms = REVOKED if row.revoked_at is not None else _unix_ms(row.expires_at)
        self.written_until_ms = max(self.written_until_ms, _unix_ms(row.idle_until))
        self.use(self.written_until_ms)


class KnownLogins:
    """Those that were used last, logins_max at the most, and those of open streams. No I/O."""

    def __init__(self, logins_max: int) -> None:
        self._logins_max = logins_max
        self._known: OrderedDict[bytes, KnownLogin] = OrderedDict()

    def find(self, digest: bytes) -> KnownLogin | None:
        """Return the login with this hash, if it is known; it may have ended."""
        found = self._known.get(digest)
        if found is not None:
            self._known.move_to_end(digest)
        return found

    def take(self, row: LoginRow) -> KnownLogin:
        """Take over a login."""
        found = self._known.get(row.hash)
        if found is None:
            found = self._known[row.hash] = KnownLogin(row)
            self._make_room()
        else:
            found.update(row)
        return found

    def take_changes(self, rows: Sequence[LoginRow]) -> None:
        """Take over what was written to logins that are known."""
        for row in rows:
            if (found := self._known.get(row.hash)) is not None:
                found.update(row)

    def held(self) -> list[bytes]:
        """Return the hashes of logins of open requests."""
        return [digest for digest, each in self._known.items() if each.holds]

    def take_all(self, found: Mapping[bytes, LoginRow | None]) -> None:
        """Take over what there is of these logins, and forget all others: the database is another, or went back. Who
        uses a login makes it known again.
        """
        self._known = OrderedDict((digest, known) for digest, known in self._known.items() if digest in found)
        for digest, each in self._known.items():
            each.replace(found[digest])

    def _make_room(self) -> None:
        excess = len(self._known) - self._logins_max
        for digest in [digest for digest, each in self._known.items() if not each.holds][: max(excess, 0)]:
            del self._known[digest]


_MILLISECONDS: Final = 1_000


def _unix_ms(moment: datetime) -> float:
    return moment.timestamp() * _MILLISECONDS
