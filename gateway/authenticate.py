"""Who asks: the one place where a credential, or the name of a tenant in a header, becomes a principal.

| the request has                        | nobody is asked              | KG_AUTH_REQUIRED              |
|----------------------------------------|------------------------------|-------------------------------|
| no Authorization                       | a local user's               | 401 unauthenticated           |
| Authorization of another scheme        | a local user's               | 401 unauthenticated           |
| Bearer, and nothing                    | 401 unauthenticated          | 401 unauthenticated           |
| Bearer, a token that is good           | the token's                  | the token's                   |
| Bearer, anything else                  | 401 invalid_token            | 401 invalid_token             |
| the cookie of a login that is good     | the login's                  | the login's                   |
| the cookie, anything else              | 401 invalid_token            | 401 invalid_token             |
| both                                   | 400 invalid_parameter        | 400 invalid_parameter         |

So clients can send tokens first, and gateways ask for them later. A credential that fails never becomes a weaker one.
All that is wrong with a token is one answer with one text; the audit has the reason. What has three parts and is no
token of Argosy's own is an access token of an issuer, if the settings name one, and is judged as such alone. When a
cookie counts: login_cookie.py.

The tenant is the token's. X-Argosy-Tenant is for those who may act as any tenant, or names one of those that an access
token is for; a local user's is believed with ALLOW_TENANT_HEADER alone.

`known` is on the path of every request: it awaits nothing, and makes nothing for a token that the process knows.

What was let in goes on: a turn that came with a token which is revoked between this check and the append is appended.
The append ends within GATEWAY_BODY_TIMEOUT_S + LOG_APPEND_TIMEOUT_S of the check.
"""

import hmac
from typing import Final

from starlette.types import Scope as AsgiScope

from argosy.clock import Clock
from argosy.config import Settings
from argosy.gateway import names
from argosy.gateway.access_tokens import AccessTokens, KeysAwayError, KnownAccessToken
from argosy.gateway.asker import tenant_not_found
from argosy.gateway.audited import Audited
from argosy.gateway.identity_cache import IdentityCache, unavailable
from argosy.gateway.known_login import KnownLogin
from argosy.gateway.known_token import REVOKED, KnownToken
from argosy.gateway.logins import AdminToken, LoginSessions
from argosy.gateway.problems import Problem
from argosy.identity import access_token, api_token, principal
from argosy.identity.access_token import BadTokenError
from argosy.identity.principal import Principal, PrincipalKind
from argosy.identity.scopes import OF_TENANTS, SCOPES_OF, Role, Scope
from argosy.identity.tenant import TenantState

_BEARER: Final = b"bearer"
_TOKEN: Final = "argosy.token"  # noqa: S105 (a key of the scope)
# Longer ones are not even hashed. ARGOSY_ADMIN_TOKEN may be of any form.
_LENGTH_MAX: Final = 1_024
_OPERATOR: Final = principal.local(names.DEFAULT_TENANT, is_operator=True)


class Authenticator:
    """Makes the principal of each request. Used from one event loop.

    is_required: requests need a credential. is_private: the gateway serves the program that it is in, on a socket of
    that program's own: whoever asks is local.
    """

    def __init__(
        self,
        settings: Settings,
        cache: IdentityCache,
        access_tokens: AccessTokens,
        audited: Audited,
        clock: Clock,
        *,
        is_private: bool,
    ) -> None:
        self.is_required = settings.kg_auth_required and not is_private
        self._is_private = is_private
        self._is_header_allowed = settings.allow_tenant_header
        self._cache = cache
        self._access_tokens = access_tokens
        self._length_max = _LENGTH_MAX if access_tokens.is_empty else access_token.SIZE_BYTES_MAX
        self._audited = audited
        self._clock = clock
        given = settings.argosy_admin_token.strip()
        self._admin_digest = api_token.digest(given) if given else None
        self._admin = Principal(PrincipalKind.TOKEN, "ARGOSY_ADMIN_TOKEN", None, SCOPES_OF[Role.ADMIN])
        self.logins = LoginSessions(settings, cache, audited, AdminToken(self._admin_digest, self._admin), clock)

    def known(self, scope: AsgiScope) -> Principal | None:
        """Return who asks; None if only `look_up` can tell. Raises Problem."""
        authorization = tenant = None
        has_cookie = False
        for name, value in scope["headers"]:
            if name == b"authorization":
                if authorization is not None:
                    raise Problem("invalid_parameter", "the field Authorization may stand once only")
                authorization = value
            elif name == b"x-argosy-tenant":
                if tenant is not None:
                    raise Problem("invalid_parameter", "the field X-Argosy-Tenant may stand once only")
                tenant = value
            elif name == b"cookie":
                has_cookie = True
        if has_cookie and (secret := self._login_in(scope)) is not None:
            login = self.logins.known(scope, secret)
            return None if login is None else self._of_issuer(scope, login, _tenant_of(login, tenant))
        if authorization is None or self._is_private or authorization[:6].lower() != _BEARER:
            return self._without(scope, tenant, authorization)
        credential = authorization[7:]
        if not credential:
            raise self._none(scope, "there is no token behind Bearer")
        if len(credential) > self._length_max or authorization[6:7] != b" ":
            raise self._bad(scope, "malformed")
        digest = api_token.digest(credential.decode("latin-1"))
        token = self._cache.find(digest)
        if token is None:
            return self._unknown(scope, credential.decode("latin-1"), digest, tenant)
        found = self._checked(scope, token)
        return found if tenant is None else self._acting(scope, found, tenant)

    async def look_up(self, scope: AsgiScope) -> Principal:
        """Return who asks, where `known` could not tell. Raises Problem."""
        fields = dict(scope["headers"])
        tenant = fields.get(b"x-argosy-tenant")
        if (secret := self._login_in(scope)) is not None:
            login = await self.logins.look_up(scope, secret)
            return await self._with_tenant(scope, login, _tenant_of(login, tenant))
        credential = fields[b"authorization"][7:].decode("latin-1")
        digest = api_token.digest(credential)
        if self._is_admin(digest):
            found = self._admin
        elif self._is_of_issuer(credential):
            return await self._look_up_of_issuer(scope, credential, digest, tenant)
        else:
            token = self._cache.find(digest) or await self._cache.look_up(digest)
            if token is None:
                raise self._bad(scope, "unknown")
            found = self._checked(scope, token)
        if tenant is None:
            return found
        acting = self._acting(scope, found, tenant)
        if acting is None:
            state = await self._cache.look_up_tenant(_named(tenant))
            return self._as_tenant(scope, found, _named(tenant), state)
        return acting

    def _without(self, scope: AsgiScope, tenant: bytes | None, authorization: bytes | None) -> Principal:
        """Return the principal of a request that has no token."""
        if self.is_required:
            what = "there is no token" if authorization is None else "the scheme of Authorization is not Bearer"
            raise self._none(scope, what)
        if tenant is None or not self._is_header_allowed:
            return _OPERATOR
        named = _named(tenant)
        if self._cache.inactive.get(named) is TenantState.DELETED:
            raise tenant_not_found(named)
        return _OPERATOR if named == names.DEFAULT_TENANT else principal.local(named, is_operator=False)

    def _none(self, scope: AsgiScope, what: str) -> Problem:
        self._audited.refused(scope, "unauthenticated", None)
        return Problem("unauthenticated", f"{what}: send one as `Authorization: Bearer …`")

    def _unknown(self, scope: AsgiScope, text: str, digest: bytes, tenant: bytes | None) -> Principal | None:
        """Return the principal of a token that the cache has not; None if it has to be looked up."""
        if self._is_admin(digest):
            return self._admin if tenant is None else self._acting(scope, self._admin, tenant)
        is_of_issuer = self._is_of_issuer(text)
        if is_of_issuer and (token := self._access_tokens.remembered(digest)) is not None:
            return self._of_issuer(scope, token, tenant)
        self._audited.check_source(scope, lambda: self._access_tokens.recognized(text) if is_of_issuer else None)
        if not is_of_issuer and not api_token.is_token(text):
            raise self._bad(scope, "malformed")
        return None

    def _login_in(self, scope: AsgiScope) -> str | None:
        return None if self._is_private else self.logins.secret_in(scope)

    # Access tokens of issuers, and logins

    def _is_of_issuer(self, text: str) -> bool:
        return not self._access_tokens.is_empty and access_token.is_jwt(text)

    async def _look_up_of_issuer(self, scope: AsgiScope, text: str, digest: bytes, tenant: bytes | None) -> Principal:
        token = self._access_tokens.remembered(digest)
        if token is None:
            try:
                token = await self._access_tokens.verify(text, digest)
            except BadTokenError as error:
                raise self._bad(scope, error.code) from None
            except KeysAwayError:
                raise unavailable("the issuer of the token has not been heard of for too long") from None
        return await self._with_tenant(scope, token, tenant)

    async def _with_tenant(
        self, scope: AsgiScope, token: KnownAccessToken | KnownLogin, tenant: bytes | None
    ) -> Principal:
        found = self._of_issuer(scope, token, tenant)
        if found is not None:
            return found
        named = token.principal.tenant if tenant is None else _named(tenant)
        state = None if named is None else await self._cache.look_up_tenant(named)
        return self._in_tenant(scope, token, named, state)

    def _of_issuer(
        self, scope: AsgiScope, token: KnownAccessToken | KnownLogin, tenant: bytes | None
    ) -> Principal | None:
        """Return the principal of a good access token, or login; None if its tenant has to be looked up."""
        own = token.principal.tenant
        named = own if tenant is None else _named(tenant)
        if self._cache.is_stale:
            raise unavailable("what is known of tenants is too old, and Postgres does not answer")
        said = token.said
        if said is not None and self._cache.is_revoked(said.issuer, said.subject, named or "", said.at_s):
            raise self._bad(scope, "revoked")
        if named is None:
            if token.tenants:
                raise Problem("tenant_required", "the token is for several tenants: name one in X-Argosy-Tenant")
            scope[_TOKEN] = token
            return token.principal
        state = self._cache.tenant_state(named)
        return None if state is None else self._in_tenant(scope, token, named, state)

    def _in_tenant(
        self, scope: AsgiScope, token: KnownAccessToken | KnownLogin, named: str | None, state: TenantState | None
    ) -> Principal:
        found = token.principal
        if named is not None and named not in token.tenants:
            if Scope.ACT_AS not in found.scopes:
                raise self._foreign(scope, found)
            scope[_TOKEN] = token
            return self._as_tenant(scope, found, named, state)
        is_others = token.said is not None and not self._access_tokens.may_be_for(token.said.issuer, named or "")
        if is_others or state is None or state is TenantState.DELETED:
            reason = "tenant_of_others" if is_others else "tenant_unknown"
            self._audited.refused(scope, reason, found, code="tenant_unknown")
            raise Problem("tenant_unknown", f"there is no tenant {named!r} here, which the token names")
        scope[_TOKEN] = token
        return found if found.tenant == named else found._replace(tenant=named)

    def _is_admin(self, digest: bytes) -> bool:
        return self._admin_digest is not None and hmac.compare_digest(digest, self._admin_digest)

    def _checked(self, scope: AsgiScope, token: KnownToken) -> Principal:
        now_ms = self._clock.unix_ms()
        if token.ends_at_ms <= now_ms:
            raise self._bad(scope, "revoked" if token.ends_at_ms == REVOKED else "expired")
        if self._cache.is_stale:
            raise unavailable("what is known of tokens is too old, and Postgres does not answer")
        self._cache.used(token, now_ms)
        scope[_TOKEN] = token
        return token.principal

    def _bad(self, scope: AsgiScope, reason: str) -> Problem:
        self._audited.failed(scope, reason)
        return Problem("invalid_token", "the token is not one, or is not good any more")

    def _acting(self, scope: AsgiScope, found: Principal, tenant: bytes) -> Principal | None:
        """Return the principal of a token that names a tenant; None if that tenant has to be looked up."""
        named = _named(tenant)
        if named == found.tenant:
            return found
        if Scope.ACT_AS not in found.scopes:
            raise self._foreign(scope, found)
        state = self._cache.tenant_state(named)
        return None if state is None else self._as_tenant(scope, found, named, state)

    def _foreign(self, scope: AsgiScope, found: Principal) -> Problem:
        self._audited.refused(scope, "insufficient_scope", found)
        return Problem(
            "insufficient_scope", "the token is not of the tenant that X-Argosy-Tenant names", scope=Scope.ACT_AS
        )

    def _as_tenant(self, scope: AsgiScope, found: Principal, named: str, state: TenantState | None) -> Principal:
        """Return an administrator as one of a tenant: it has all rights that a token of that tenant can have."""
        if state is None or state is TenantState.DELETED:
            raise tenant_not_found(named)
        if state is not TenantState.ACTIVE:
            self._audited.refused(scope, "tenant_suspended", found)
            raise Problem("tenant_suspended", f"the tenant {named!r} is suspended: nobody acts as it")
        return found._replace(tenant=named, scopes=found.scopes | OF_TENANTS, acts_as=True)


def has_credential(scope: AsgiScope) -> bool:
    """Whether a request may have a credential, good or not."""
    return any(name in (b"authorization", b"cookie") for name, _ in scope["headers"])


def token_of(scope: AsgiScope) -> KnownToken | KnownAccessToken | KnownLogin | None:
    """Return the token or login with which a request was let in; None for a local user and for ARGOSY_ADMIN_TOKEN."""
    token: KnownToken | KnownAccessToken | KnownLogin | None = scope.get(_TOKEN)
    return token


def _tenant_of(login: KnownLogin, tenant: bytes | None) -> bytes | None:
    return login.tenant.encode() if tenant is None and login.tenant is not None else tenant


def _named(tenant: bytes) -> str:
    return names.tenant(tenant.decode("latin-1"))
