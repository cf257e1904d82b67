"""/v1/subjects: whom an issuer of access tokens means. For administrators: a subject is one of all its tenants."""

from datetime import datetime
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from argosy.config import Settings
from argosy.gateway import body, json_value, names
from argosy.gateway.access import GuardedRoute, needs_anywhere, principal_of
from argosy.gateway.audited import act_of
from argosy.gateway.openapi import answers
from argosy.gateway.parameters import strict
from argosy.gateway.problems import Problem
from argosy.gateway.routes.graphs import posted
from argosy.gateway.routes.turns import json_response
from argosy.gateway.state import state_of
from argosy.identity.access_token import SUBJECT_LENGTH_MAX
from argosy.identity.scopes import Scope

router: Final = APIRouter(prefix="/v1/subjects", tags=["identity"], dependencies=[strict], route_class=GuardedRoute)

_BODY_SIZE_BYTES_MAX: Final = 65_536  # of each character JSON may make twelve bytes


class SubjectPosted(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Whose subject it is: one of the issuers that the gateway trusts; the one, if it trusts one."""

    issuer: Annotated[str, msgspec.Meta(max_length=2_000)] | None = None


class SubjectRevoked(msgspec.Struct, kw_only=True):
    """Access tokens of the subject that were issued before that moment are good no more. kept_until: then they have all
    ended by themselves.
    """

    issuer: str
    subject: str
    before: datetime
    kept_until: datetime


_posted: Final = msgspec.json.Decoder(SubjectPosted)


@router.post(
    "/{sub}/revoke", responses=answers("SubjectRevoked", 408, 409, 413, 415, 422), openapi_extra=posted("SubjectPosted")
)
@needs_anywhere(Scope.ACT_AS)
async def revoke_subject(sub: str, request: Request) -> Response:
    """End the access tokens that a subject of an issuer has by now, and the streams that they opened. Those that the
    issuer gives it from now on are good: have it refuse the subject first.
    """
    state = state_of(request)
    raw = await body.read(request, _BODY_SIZE_BYTES_MAX, state.settings.gateway_body_timeout_s)
    issuer = _issuer(state.settings, json_value.decode(raw, _posted, "the body").issuer)
    subject = names.path_segment(request.scope, 2)
    if not 1 <= len(subject) <= SUBJECT_LENGTH_MAX or "\0" in subject:
        raise Problem("invalid_request", f"a subject has 1 to {SUBJECT_LENGTH_MAX} characters, and no NUL")
    act = act_of(request, principal_of(request), "subject.revoke", target=f"{issuer}|{subject}")
    before, kept_until = await state.identity.stored.revoke_subject(
        issuer, subject, lifetime_s(state.settings), state.settings.auth_revocations_max, act
    )
    await state.identity.cache.refresh_after()
    return json_response(SubjectRevoked(issuer=issuer, subject=subject, before=before, kept_until=kept_until))


def lifetime_s(settings: Settings) -> float:
    """Return for how long an access token may be good that was issued by now, or a login that was made with one."""
    own_s = settings.auth_jwt_lifetime_s_max + 2 * settings.auth_jwt_skew_s
    of_tokens_s = max((each.lifetime_s_max + 2 * each.skew_s for each in settings.trusted_issuers), default=own_s)
    return max(of_tokens_s, settings.login_lifetime_s)


def _issuer(settings: Settings, named: str | None) -> str:
    trusted = [each.issuer for each in settings.trusted_issuers]
    if named is None and len(trusted) == 1:
        return trusted[0]
    if named not in trusted:
        raise Problem("invalid_request", "issuer: which of those that the gateway trusts (AUTH_JWT_ISSUER)")
    return named
