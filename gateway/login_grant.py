"""What a login with a token has: the token is judged as if it stood in Authorization, in the one place for that."""

from starlette.types import Scope as AsgiScope

from argosy.gateway.access_tokens import KnownAccessToken
from argosy.gateway.authenticate import Authenticator, token_of
from argosy.gateway.known_token import KnownToken
from argosy.gateway.logins import Grant
from argosy.gateway.problems import Problem
from argosy.identity import access_token
from argosy.identity.principal import Principal, PrincipalKind


async def grant_of(
    authenticator: Authenticator, scope: AsgiScope, token: str, tenant: str | None
) -> tuple[Principal, Grant]:
    """Return whom a token makes of a request, and what a login with it has. scope: of the request that hands the token
    in. tenant: for which the login acts. Raises Problem.
    """
    fields = [(b"authorization", b"Bearer " + token.encode())]
    if tenant is not None:
        fields.append((b"x-argosy-tenant", tenant.encode()))
    alone = {"type": scope["type"], "client": scope.get("client"), "headers": fields}
    found = authenticator.known(alone) or await authenticator.look_up(alone)
    if found.kind is PrincipalKind.LOCAL:
        raise Problem("login_refused", "nobody is asked who they are here")
    known = token_of(alone)
    if isinstance(known, KnownAccessToken):
        issuer = access_token.parse(token).issuer
        return found, Grant(known.principal, None, issuer, known.tenants, tenant, known.ends_at_ms / 1_000, known.said)
    token_hash = known.hash if isinstance(known, KnownToken) else None
    return found, Grant(found, token_hash, tenant=tenant, ends_at_s=found.expires_at_s)
