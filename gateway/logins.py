"""Whose login the cookie of a request is, and how one is made and ended.

A login that was made with a token has that token's rights at any time, and ends with it. One of an issuer's user has
what the issuer's token said when they signed in. Each ends LOGIN_LIFETIME_S after it was made, and when nobody has used
it for LOGIN_IDLE_S.
"""

import uuid
from datetime import UTC, datetime
from typing import Final, NamedTuple

from starlette.types import Scope as AsgiScope

from argosy.clock import Clock
from argosy.config import Settings
from argosy.gateway.access_tokens import Issued
from argosy.gateway.audited import Audited
from argosy.gateway.identity_cache import IdentityCache, unavailable
from argosy.gateway.known_login import KnownLogin
from argosy.gateway.known_token import REVOKED, KnownToken
from argosy.gateway.login_cookie import LoginCookies, has_console_header, is_of_console
from argosy.gateway.problems import Problem
from argosy.gateway.rate_limit import RateLimit
from argosy.identity import api_token
from argosy.identity.api_token import TokenKind
from argosy.identity.principal import Principal
from argosy.identity.scopes import OF_TENANTS
from argosy.store.audit import Act
from argosy.store.logins import NewLogin

_RATE: Final = 10 / 60  # new logins of one subject: each is a row
_BURST: Final = 10.0
_ENDED: Final = "the login is over: sign in again"


class AdminToken:
    """ARGOSY_ADMIN_TOKEN, which stands in no table. principal: whom it makes of a request; None: there is none."""

    def __init__(self, digest: bytes | None, principal: Principal) -> None:
        self.digest = digest
        self.principal = principal


class Grant(NamedTuple):
    """To whom a login is given. token_hash: of the token whose rights it has; None: ARGOSY_ADMIN_TOKEN. issuer: whose
    user it is instead, with the scopes and roles of `principal` and these tenants. tenant: for which it acts unless a
    request names one. ends_at_s: when it ends at the latest, in Unix time; None: by the settings. said: of an issuer's
    token.
    """

    principal: Principal
    token_hash: bytes | None = None
    issuer: str | None = None
    tenants: tuple[str, ...] = ()
    tenant: str | None = None
    ends_at_s: float | None = None
    said: Issued | None = None


class LoginSessions:
    """See above. Used from one event loop."""

    def __init__(
        self, settings: Settings, cache: IdentityCache, audited: Audited, admin: AdminToken, clock: Clock
    ) -> None:
        self.cookies = LoginCookies(settings)
        self._settings = settings
        self._cache = cache
        self._audited = audited
        self._admin = admin
        self._clock = clock
        self._issuers = {each.issuer: each.admin for each in settings.trusted_issuers}
        self._rate = RateLimit(_RATE, _BURST, clock, tenants_max=settings.gateway_tenants_max)

    def secret_in(self, scope: AsgiScope) -> str | None:
        """Return the secret of a login that a request has, if any. Raises Problem, which the audit is told, when it
        must not count.
        """
        try:
            return self.cookies.secret_in(scope)
        except Problem as problem:
            self._audited.refused(scope, problem.code, None)
            raise

    def check_place(self, scope: AsgiScope) -> None:
        """Raise Problem, which the audit is told, unless the console's own page asks, where people may sign in."""
        try:
            self.cookies.check_place(scope)
            if not is_of_console(scope):
                raise Problem("foreign_origin", "a login is asked for by the console's own page alone")
        except Problem as problem:
            self._audited.refused(scope, problem.code, None)
            raise

    def known(self, scope: AsgiScope, secret: str) -> KnownLogin | None:
        """Return the login of a request, which is good; None if only `look_up` can tell. Raises Problem."""
        login = self._cache.logins.find(api_token.digest(secret))
        now_ms = self._clock.unix_ms()
        if login is None or login.idle_at_ms <= now_ms < login.ends_at_ms:
            # A login that is known here, and seems idle, is nobody's guess.
            self._audited.check_source(scope, lambda: None if login is None else login.hash)
            if not api_token.is_login(secret):
                raise self._bad(scope, "malformed")
            return None
        token = None
        if login.token_hash is not None and login.token_hash != self._admin.digest:
            token = self._cache.find(login.token_hash)
            if token is None:
                return None
        return self._checked(scope, login, token)

    async def look_up(self, scope: AsgiScope, secret: str) -> KnownLogin:
        """Return the login of a request, where `known` could not tell. Raises Problem."""
        digest = api_token.digest(secret)
        login = self._cache.logins.find(digest)
        if login is None or login.idle_at_ms <= self._clock.unix_ms():
            login = await self._cache.look_up_login(digest)
        if login is None:
            raise self._bad(scope, "unknown")
        token = None
        if login.token_hash is not None and login.token_hash != self._admin.digest:
            token = self._cache.find(login.token_hash) or await self._cache.look_up(login.token_hash)
            if token is None:
                raise self._bad(scope, "unknown")
        return self._checked(scope, login, token)

    async def living(self, scope: AsgiScope, secret: str) -> KnownLogin | None:
        """Return the login of a request; None if it is over. Raises Problem when that cannot be told."""
        try:
            return self.known(scope, secret) or await self.look_up(scope, secret)
        except Problem as problem:
            if problem.code == "invalid_token":
                return None
            raise

    def _checked(self, scope: AsgiScope, login: KnownLogin, token: KnownToken | None) -> KnownLogin:
        now_ms = self._clock.unix_ms()
        if token is not None:
            login.of_token(token, token.principal)
        elif login.token_hash is not None:
            login.of_token(None, self._admin.principal)
        if login.is_over(now_ms):
            ends_at_ms = min(login.ends_at_ms, login.ends_at_ms if token is None else token.ends_at_ms)
            raise self._bad(scope, "revoked" if ends_at_ms == REVOKED else "expired")
        if login.idle_at_ms <= now_ms:
            raise self._bad(scope, "idle")
        if login.issuer is not None and not self._is_trusted(login):
            raise self._bad(scope, "issuer")
        if self._cache.is_stale:
            raise unavailable("what is known of logins is too old, and Postgres does not answer")
        if has_console_header(scope):
            self._cache.logins.used(login, now_ms)
            if token is not None:
                self._cache.used(token, now_ms)
        return login

    def _is_trusted(self, login: KnownLogin) -> bool:
        """Whether the settings still name the issuer, and let its users have such rights."""
        may_administer = self._issuers.get(str(login.issuer))
        return may_administer is not None and (may_administer or login.principal.scopes <= OF_TENANTS)

    def _bad(self, scope: AsgiScope, reason: str) -> Problem:
        self._audited.failed(scope, reason)
        return Problem("invalid_token", _ENDED)

    # Made and ended

    async def create(self, grant: Grant, act: Act, replaces: str | None) -> tuple[str, KnownLogin]:
        """Make a login; return its secret, and what is known of it. replaces: the secret of the one that the browser
        had, which ends. Raises StoreUnavailableError.
        """
        subject = grant.principal.id
        if not self._rate.take(subject):
            retry_after_s = self._rate.retry_after_s(subject)
            raise Problem("rate_limited", "more than 10 logins a minute", retry_after_s=retry_after_s)
        secret, login_id = api_token.mint(TokenKind.LOGIN), uuid.uuid4()
        of_issuer = grant.issuer is not None
        new = NewLogin(
            hash=api_token.digest(secret),
            login_id=login_id,
            subject=subject,
            token_hash=None if of_issuer else grant.token_hash or self._admin.digest,
            issuer=grant.issuer,
            tenants=grant.tenants,
            scopes=sorted(grant.principal.scopes) if of_issuer else [],
            tenant=grant.tenant,
            lifetime_s=self._settings.login_lifetime_s,
            ends_at=None if grant.ends_at_s is None else datetime.fromtimestamp(grant.ends_at_s, UTC),
            idle_s=self._settings.login_idle_s,
            logins_max=self._settings.logins_max,
            replaces=None if replaces is None else api_token.digest(replaces),
            roles=grant.principal.roles if of_issuer else (),
        )
        row = await self._cache.logins.stored.create(new, act._replace(target=str(login_id)))
        login = self._cache.logins.take(row)
        await self._cache.refresh_after()  # what was replaced is over here at once
        said = grant.said
        # The subject may have been revoked before this process heard of it.
        if said is not None and self._cache.is_revoked(said.issuer, said.subject, grant.tenant or "", said.at_s):
            await self.end(secret, act._replace(action="logout", target=str(login_id)))
            raise Problem("invalid_token", _ENDED)
        return secret, login

    async def end(self, secret: str, act: Act) -> None:
        """End a login everywhere: here at once. Nothing happens when it is over. Raises StoreUnavailableError."""
        digest = api_token.digest(secret)
        if await self._cache.logins.stored.revoke(digest, act):
            await self._cache.refresh_after()
