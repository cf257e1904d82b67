"""/v1/tokens: API tokens. A token is shown once, in the answer to what made it; only its hash is stored.

They are those of the tenant that asks; for an administrator who names no tenant, all, and one that is made is of the
installation. Nobody makes a token, also by rotating one, with rights that they lack.
"""

import uuid
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from argosy.gateway import body, json_value
from argosy.gateway.access import GuardedRoute, lacking, needs_anywhere, principal_of
from argosy.gateway.audited import act_of
from argosy.gateway.openapi import answers, problems
from argosy.gateway.parameters import Cursor, Limit, page_size, strict
from argosy.gateway.problems import Problem
from argosy.gateway.routes.graphs import posted
from argosy.gateway.routes.turns import json_response
from argosy.gateway.state import State, state_of
from argosy.graph.asker import user_label
from argosy.identity import api_token
from argosy.identity.principal import PATTERNS_MAX, Principal, fault_of_grant
from argosy.identity.scopes import OF_TENANTS, SCOPES_OF, Role, Scope, expand
from argosy.store.identity import NewSuccessor, NewToken, TokenRow

router: Final = APIRouter(prefix="/v1/tokens", tags=["identity"], dependencies=[strict], route_class=GuardedRoute)

_BODY_SIZE_BYTES_MAX: Final = 65_536
_OVERLAP_S: Final = 86_400.0
_OVERLAP_S_MAX: Final = 30 * 86_400.0
_NO_CONTROLS: Final = r"^[^\x00-\x1f\x7f-\x9f]*$"

_REVOKED: Final[dict[int | str, Any]] = {204: {"description": "It has ended"}}

_Pattern = Annotated[str, msgspec.Meta(min_length=1, max_length=256, pattern=_NO_CONTROLS)]
_Patterns = Annotated[list[_Pattern], msgspec.Meta(min_length=1, max_length=PATTERNS_MAX)]


class TokenPosted(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A token to be made, with the scopes of a role, or some of its own, or both. sessions, workflows: it is for these
    alone; a name, or how names begin and `*`. lifetime_s: TOKEN_LIFETIME_S unless it is given.
    """

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=_NO_CONTROLS)]
    role: Role | None = None
    scopes: Annotated[list[Scope], msgspec.Meta(max_length=100)] = []
    sessions: _Patterns | None = None
    workflows: _Patterns | None = None
    lifetime_s: Annotated[float, msgspec.Meta(ge=1)] | None = None


class RotationPosted(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How long the old token is good beside its successor: a day unless it is given."""

    overlap_s: Annotated[float, msgspec.Meta(ge=0, le=_OVERLAP_S_MAX)] = _OVERLAP_S


class TokenView(msgspec.Struct, kw_only=True):
    """A token, without itself. tenant: null: of the installation. hint: the first characters that people tell tokens
    apart by. replaced_by: the successor that a rotation made. label: by which access control lists know it, and every
    successor of it.
    """

    token_id: uuid.UUID
    name: str
    tenant: str | None
    role: str | None
    scopes: list[str]
    sessions: list[str] | None
    workflows: list[str] | None
    hint: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str | None
    replaced_by: uuid.UUID | None
    last_used_at: datetime | None
    label: str


class TokenMade(TokenView, kw_only=True):
    """A token that was just made. token: it is shown now, and never again."""

    token: str


class TokenPage(msgspec.Struct, kw_only=True):
    """`next` is the cursor of the next page, null on the last."""

    tokens: list[TokenView]
    next: str | None


_posted: Final = msgspec.json.Decoder(TokenPosted)
_rotation: Final = msgspec.json.Decoder(RotationPosted)


@router.get("", responses=answers("TokenPage"))
@needs_anywhere(Scope.TOKENS_READ)
async def list_tokens(request: Request, limit: Limit = None, cursor: Cursor = None) -> Response:
    """Tokens, also those that have ended, by their ids."""
    state = state_of(request)
    tenant = _whose(principal_of(request))
    list_name = ("tokens", tenant)
    after = None if cursor is None else state.cursors.decode(list_name, cursor, tuple[uuid.UUID])[0]
    size = page_size(limit, state.settings.page_size_max)
    rows = await state.identity.stored.list_tokens(tenant, after, size + 1)
    return json_response(
        TokenPage(
            tokens=[TokenView(**_members(row)) for row in rows[:size]],
            next=state.cursors.encode(list_name, (rows[size - 1].token_id,)) if len(rows) > size else None,
        )
    )


@router.post(
    "",
    status_code=201,
    responses=answers("TokenMade", 404, 408, 409, 413, 415, 422, 429, status=201),
    openapi_extra=posted("TokenPosted"),
)
@needs_anywhere(Scope.TOKENS_WRITE)
async def create_token(request: Request) -> Response:
    """Make a token, and show it: this once."""
    state, asker = state_of(request), principal_of(request)
    tenant = _whose(asker)
    raw = await body.read(request, _BODY_SIZE_BYTES_MAX, state.settings.gateway_body_timeout_s)
    asked = json_value.decode(raw, _posted, "the body")
    _check_grant(asker, tenant, expand(asked.role, asked.scopes), asked.role)
    lifetime_s = asked.lifetime_s or state.settings.token_lifetime_s
    lifetime_s_max = state.settings.token_lifetime_s_max
    if lifetime_s > lifetime_s_max:
        raise Problem("invalid_request", f"lifetime_s is {lifetime_s_max:g} at the most (TOKEN_LIFETIME_S_MAX)")
    _check_rate(state, tenant)
    token = api_token.mint(api_token.TokenKind.ADMIN if tenant is None else api_token.TokenKind.TENANT)
    new = NewToken(
        token_id=uuid.uuid4(),
        hash=api_token.digest(token),
        tenant=tenant,
        name=asked.name,
        role=asked.role,
        scopes=sorted(set(asked.scopes)),
        sessions=asked.sessions,
        workflows=asked.workflows,
        hint=api_token.hint(token),
        created_by=asker.id,
        lifetime_s=lifetime_s,
    )
    act = act_of(request, asker, "token.create", tenant=tenant, target=str(new.token_id))
    row = await state.identity.stored.create_token(new, act)
    return json_response(TokenMade(token=token, **_members(row)), 201)


@router.delete("/{token_id}", status_code=204, responses=_REVOKED | problems(404))
@needs_anywhere(Scope.TOKENS_WRITE)
async def revoke_token(token_id: str, request: Request) -> Response:
    """End a token now; 204 also when it has ended before. Other gateways hear of it within twice GATEWAY_CACHE_S."""
    state, asker = state_of(request), principal_of(request)
    tenant, found = _whose(asker), _id_of(token_id)
    act = act_of(request, asker, "token.revoke", tenant=tenant, target=str(found))
    await state.identity.stored.revoke_token(found, tenant, act)
    await state.identity.cache.refresh_after()
    return Response(status_code=204)


@router.post(
    "/{token_id}/rotate",
    status_code=201,
    responses=answers("TokenMade", 404, 408, 409, 413, 415, 422, 429, status=201),
    openapi_extra={"requestBody": posted("RotationPosted")["requestBody"] | {"required": False}},
)
@needs_anywhere(Scope.TOKENS_WRITE)
async def rotate_token(token_id: str, request: Request) -> Response:
    """Make the successor of a token, with the same rights, and show it: this once. The old one is good for `overlap_s`
    more.
    """
    state, asker = state_of(request), principal_of(request)
    tenant, found = _whose(asker), _id_of(token_id)
    raw = await body.read(request, _BODY_SIZE_BYTES_MAX, state.settings.gateway_body_timeout_s) or b"{}"
    asked = json_value.decode(raw, _rotation, "the body")
    old = await state.identity.stored.get_token(found, tenant)
    if old is None:
        raise _not_found(found)
    role = Role(old.role) if old.role in set(Role) else None
    _check_grant(asker, old.tenant, expand(old.role, old.scopes), role)
    _check_rate(state, old.tenant)
    token = api_token.mint(api_token.TokenKind.ADMIN if old.tenant is None else api_token.TokenKind.TENANT)
    new = NewSuccessor(
        token_id=uuid.uuid4(),
        hash=api_token.digest(token),
        hint=api_token.hint(token),
        created_by=asker.id,
        lifetime_s_max=state.settings.token_lifetime_s_max,
    )
    act = act_of(request, asker, "token.rotate", tenant=old.tenant, target=str(found))
    row = await state.identity.stored.rotate_token(found, tenant, new, asked.overlap_s, act)
    await state.identity.cache.refresh_after()
    return json_response(TokenMade(token=token, **_members(row)), 201)


def _whose(asker: Principal) -> str | None:
    """Return the tenant whose tokens a principal deals with; None: all. Raises Problem."""
    if asker.tenant is None and Scope.ACT_AS not in asker.scopes:
        raise lacking(Scope.ACT_AS)
    return asker.tenant


def _check_grant(asker: Principal, tenant: str | None, scopes: frozenset[Scope], role: Role | None) -> None:
    """Raise Problem unless the principal may make a token with these scopes."""
    if tenant is None and role is not None and SCOPES_OF[role] <= OF_TENANTS:
        raise Problem("tenant_required", f"a token with the role {str(role)!r} is of a tenant: name it")
    if asker.workflows is not None:
        raise Problem(
            "insufficient_scope", "the token is limited to some workflows: it makes no others", scope=Scope.TOKENS_WRITE
        )
    fault = fault_of_grant(asker, tenant, scopes, role)
    if fault is None:
        return
    if not scopes or (tenant is not None and not scopes <= OF_TENANTS):
        raise Problem("invalid_request", fault)
    raise Problem("insufficient_scope", fault, scope=" ".join(sorted(scopes - asker.scopes)))


def _check_rate(state: State, tenant: str | None) -> None:
    name = tenant or ""
    if not state.token_rate_limit.take(name):
        retry_after_s = state.token_rate_limit.retry_after_s(name)
        raise Problem("rate_limited", "more than 10 new tokens a minute", retry_after_s=retry_after_s)


def _id_of(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise _not_found(text) from None


def _not_found(token_id: object) -> Problem:
    return Problem("token_not_found", f"{token_id} is not a token of yours")


def _members(row: TokenRow) -> dict[str, Any]:
    facts = row._asdict() | {"label": user_label(str(row.subject_id or row.token_id))}
    return {name: facts[name] for name in TokenView.__struct_fields__}
