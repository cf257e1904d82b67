"""The principal of a turn: who posted it, as a gateway found out then, and what that allows the turn. Pure.

What is recorded is how the principal was recognized (kind), its id, its scopes as they were when the turn was posted,
the sessions and workflows that its credential was limited to, and as whom access control lists of graphs know it, if
that is not its id. Never a secret, and no name of a role: a role may
mean more in a later version. A token that is revoked later, or whose rights change, changes no turn that it has posted.

- It travels as a member of the turn's record (argosy/record.py), so the record's MAC covers it. A worker of a version
  before reads such a record as ever. A record without it, of an older gateway, is of somebody whom nobody knows: None.
- What it says is believed where the record's MAC was checked (Record.is_proved). Elsewhere whoever may append could
  claim to be anybody, so it is dropped, but for `local`, which claims nothing: nobody was asked who they are.
- It is stored as turns.created_by. A turn that another turn starts has what its parent's row has: the flush that starts
  it takes it from there (functions/flush.sql), and the accept from there again, whatever the start's record says. So a
  child has its parent's rights, and no more, and no workflow gives it others.
- It belongs to the turn, so every attempt, wherever it runs, has the same. Workflows and steps are told it
  (`ctx.principal`, `step_info().principal`); clients are told its kind and id.

What a turn does through `ctx`, or in a step, needs no scope, unless TURN_RIGHTS_ENFORCED is set. Scopes say what a
credential may ask a gateway for, and the code of a workflow is the tenant's own: a token of role `user` posts a turn
that writes to a graph which the token itself may not even read, as a customer places an order without a right to the
table of orders. With TURN_RIGHTS_ENFORCED a turn needs what a request of its principal would need (`fault`). `local`
and None have all rights of a tenant, as before there were principals.
"""

from functools import lru_cache
from typing import Final

import msgspec

from argosy.identity.principal import Principal, PrincipalKind, matches
from argosy.identity.scopes import OF_TENANTS, Scope

SIZE_BYTES_MAX: Final = 65_536  # what a worker believes; TURN_PRINCIPAL_SIZE_BYTES_MAX is at most this
_REMEMBERED: Final = 256  # of what was read, each of that size: turns have few principals, and each has many turns


class TurnPrincipal(msgspec.Struct, frozen=True, gc=False):
    """Who posted a turn, or the turn from which it descends.

    kind: local (nobody was asked), token, jwt, or one that a later version knows. id: of the audit log; no secret.
    tenant: of the turn. scopes: as they were when it was posted. sessions, workflows: patterns that the credential was
    limited to; None: to none. subject: see Principal.
    """

    kind: str
    id: str
    tenant: str
    scopes: frozenset[str]
    sessions: tuple[str, ...] | None = None
    workflows: tuple[str, ...] | None = None
    subject: str = ""

    @property
    def known_as(self) -> str:
        """As whom access control lists know it."""
        return self.subject or self.id


class _Recorded(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What turns.created_by has. Members and words that this version does not know, a later one may have written."""

    kind: str
    id: str
    scopes: tuple[str, ...] = ()
    sessions: tuple[str, ...] | None = None
    workflows: tuple[str, ...] | None = None
    subject: str = ""


_decode: Final = msgspec.json.Decoder(_Recorded).decode
_encode: Final = msgspec.json.Encoder().encode
LOCAL: Final = _encode(_Recorded(PrincipalKind.LOCAL, "local"))


@lru_cache(maxsize=1_024)  # a gateway has few principals, and each posts many turns
def recorded(principal: Principal) -> bytes:
    """Return what is recorded of the principal of a request, as JSON."""
    if principal.kind is PrincipalKind.LOCAL:
        return LOCAL
    scopes = tuple(sorted(principal.scopes & OF_TENANTS))
    of_whom = (principal.kind, principal.id, scopes, principal.sessions, principal.workflows, principal.subject)
    return _encode(_Recorded(*of_whom))


def taken(claimed: bytes, *, is_proved: bool) -> bytes | None:
    """Return what of a record's claim becomes turns.created_by. is_proved: the record's MAC was checked, and is good.

    Raises ValueError when a record whose MAC is good claims what cannot be read.
    """
    if not claimed:
        return None
    found = _read(claimed)
    if is_proved and found is None:
        raise ValueError("the principal of the record cannot be read")
    if is_proved:
        return claimed
    return LOCAL if found is not None and found.kind == PrincipalKind.LOCAL else None


@lru_cache(maxsize=_REMEMBERED)
def principal_of_turn(created_by: bytes | None, tenant: str) -> TurnPrincipal | None:
    """Return who posted a turn of this tenant; None when that is not known."""
    found = _read(created_by) if created_by else None
    if found is None:
        return None
    if found.kind == PrincipalKind.LOCAL:
        return TurnPrincipal(found.kind, found.id, tenant, frozenset(map(str, OF_TENANTS)))
    limits = (found.sessions, found.workflows)
    return TurnPrincipal(found.kind, found.id, tenant, frozenset(found.scopes), *limits, found.subject)


def fault(who: TurnPrincipal | None, scope: Scope, session: str | None, workflow: str | None = None) -> str | None:
    """Return why a turn of this principal may not do something, or None. The rules are those of requests.

    scope: what a request needs for it. session: which it concerns alone, if there is one: a credential that is limited
    to sessions can do nothing else. workflow: which it starts.
    """
    if who is None or who.kind == PrincipalKind.LOCAL:
        return None
    posted_by = f"the turn was posted by {who.kind} {who.id}"
    if scope not in who.scopes:
        return f"insufficient_scope: this needs the scope {scope}, and {posted_by}, who lacks it"
    if who.sessions is not None and (session is None or not matches(session, who.sessions)):
        return f"insufficient_scope: {posted_by}, who is limited to some sessions, and cannot do this ({scope})"
    if workflow is not None and who.workflows is not None and not matches(workflow, who.workflows):
        return f"insufficient_scope: {posted_by}, who is limited to other workflows than {workflow!r} ({scope})"
    return None


def _read(created_by: bytes) -> _Recorded | None:
    return _decoded(created_by) if len(created_by) <= SIZE_BYTES_MAX else None


@lru_cache(maxsize=_REMEMBERED)
def _decoded(created_by: bytes) -> _Recorded | None:
    try:
        return _decode(created_by)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
