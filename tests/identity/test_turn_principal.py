"""The principal of a turn: what is recorded of whoever posts it, what is believed of it, and what it allows."""

import uuid
from typing import Any

import msgspec
import pytest

from argosy import record
from argosy.identity.principal import Principal, PrincipalKind, local
from argosy.identity.scopes import ALL, OF_TENANTS, SCOPES_OF, Role, Scope
from argosy.identity.turn_principal import (
    LOCAL,
    SIZE_BYTES_MAX,
    TurnPrincipal,
    fault,
    principal_of_turn,
    recorded,
    taken,
)

USER = SCOPES_OF[Role.USER]


def token(**changes: Any) -> Principal:
    token_id = uuid.UUID(int=7)
    return Principal(PrincipalKind.TOKEN, str(token_id), "acme", USER, token_id=token_id)._replace(**changes)


def test_what_is_recorded_is_read_again_with_the_tenant_of_the_turn() -> None:
    posted = token(sessions=("support-*",), workflows=("echo",), expires_at_s=5.0)

    who = principal_of_turn(recorded(posted), "acme")

    assert who == TurnPrincipal("token", posted.id, "acme", frozenset(map(str, USER)), ("support-*",), ("echo",))
    assert who.known_as == posted.id
    assert b"acme" not in recorded(posted)  # the tenant is the row's alone
    assert b"subject" not in recorded(posted)


def test_lists_know_who_posted_a_turn_with_a_token_that_took_the_place_of_another() -> None:
    who = principal_of_turn(recorded(token(subject="first")), "acme")

    assert who is not None
    assert (who.id, who.known_as) == (token().id, "first")


def test_a_local_user_is_recorded_in_short_and_has_all_rights_of_a_tenant() -> None:
    for is_operator in (False, True):
        assert recorded(local("t", is_operator=is_operator)) == LOCAL == b'{"kind":"local","id":"local"}'

    who = principal_of_turn(LOCAL, "t")

    assert who is not None
    assert (who.kind, who.id, who.scopes) == ("local", "local", frozenset(map(str, OF_TENANTS)))


def test_rights_beyond_one_tenant_are_not_recorded() -> None:
    who = principal_of_turn(recorded(token(scopes=ALL, acts_as=True)), "acme")

    assert who is not None
    assert who.scopes == frozenset(map(str, OF_TENANTS))


def test_of_nothing_nobody_is_known() -> None:
    assert principal_of_turn(None, "t") is None
    assert principal_of_turn(b"", "t") is None
    assert taken(b"", is_proved=True) is taken(b"", is_proved=False) is None


def test_what_a_later_version_records_is_read_as_far_as_it_is_understood() -> None:
    later = b'{"kind":"login","id":"a","scopes":["turns:write","new:scope"],"act_as":true}'

    assert taken(later, is_proved=True) == later
    assert principal_of_turn(later, "t") == TurnPrincipal("login", "a", "t", frozenset({"turns:write", "new:scope"}))


def test_what_nobody_proved_is_dropped_but_for_local_which_claims_nothing() -> None:
    assert taken(recorded(token()), is_proved=False) is None
    assert taken(LOCAL, is_proved=False) == LOCAL
    dressed_up = b'{"kind":"local","id":"the president","scopes":["tenants:act_as"]}'
    assert taken(dressed_up, is_proved=False) == LOCAL


BROKEN = [
    b"\xff", b"{", b"[]", b"null", b"{}", b'{"kind":1,"id":"a"}', b'{"kind":"token"}', b'{"kind":"token","id":null}',
    b'{"kind":"token","id":"a","scopes":"turns:write"}', b'{"kind":"token","id":"a","sessions":[1]}', b"[" * 5_000,
    b'{"kind":"token","id":"' + b"a" * SIZE_BYTES_MAX + b'"}',
]  # fmt: skip


@pytest.mark.parametrize("claimed", BROKEN)
def test_what_cannot_be_read_is_nobody_and_a_fault_of_a_record_that_is_proved(claimed: bytes) -> None:
    assert taken(claimed, is_proved=False) is None
    assert principal_of_turn(claimed, "t") is None
    with pytest.raises(ValueError, match="cannot be read"):
        taken(claimed, is_proved=True)


def who(**changes: Any) -> TurnPrincipal:
    return msgspec.structs.replace(TurnPrincipal("token", "a", "t", frozenset(map(str, USER))), **changes)


@pytest.mark.parametrize(
    ("principal", "asked", "is_allowed"),
    [
        (None, (Scope.GRAPHS_WRITE, None), True),
        (principal_of_turn(LOCAL, "t"), (Scope.GRAPHS_WRITE, None), True),
        (who(), (Scope.TURNS_WRITE, "s", "echo"), True),
        (who(), (Scope.GRAPHS_WRITE, "s"), False),
        (who(scopes=frozenset({"graphs:write"})), (Scope.GRAPHS_WRITE, "s"), True),
        (who(scopes=frozenset()), (Scope.TURNS_WRITE, "s", "echo"), False),
        # limited to sessions
        (who(sessions=("support-*",)), (Scope.TURNS_WRITE, "support-7", "echo"), True),
        (who(sessions=("support-*",)), (Scope.TURNS_WRITE, "finance", "echo"), False),
        (who(sessions=("support-*",)), (Scope.TURNS_WRITE, None), False),
        (who(sessions=()), (Scope.TURNS_WRITE, "s"), False),
        # limited to workflows
        (who(workflows=("echo",)), (Scope.TURNS_WRITE, "s", "echo"), True),
        (who(workflows=("echo",)), (Scope.TURNS_WRITE, "s", "pay"), False),
        (who(workflows=("echo",)), (Scope.SIGNALS_WRITE, "s"), True),
        # a kind of a later version has no rights but its scopes
        (who(kind="login"), (Scope.GRAPHS_READ, None), False),
    ],
)
def test_a_turn_may_do_what_a_request_of_its_principal_may(
    principal: TurnPrincipal | None, asked: tuple[Any, ...], is_allowed: bool
) -> None:
    why = fault(principal, *asked)

    assert (why is None) == is_allowed
    assert why is None or (why.startswith("insufficient_scope") and asked[0] in why)


def test_the_longest_limits_that_a_token_can_have_are_believed() -> None:
    """32 patterns of sessions and of workflows, 30,000 bytes of each in the table of tokens."""
    long = tuple(f"{n:02}" + "x" * 900 for n in range(32))

    assert taken(recorded(token(sessions=long, workflows=long)), is_proved=True)


def test_records_with_and_without_it_are_read_by_both_versions() -> None:
    asked = record.TurnRequested(bytes(16), "t", "default", "s", "echo", b"1", created_by=LOCAL)
    fields = msgspec.structs.astuple(asked)

    class Before(msgspec.Struct, array_like=True, frozen=True):
        turn_id: bytes
        tenant: str
        lane: str
        session: str
        workflow: str
        input: bytes
        on_busy: str
        priority: int
        not_before_ms: int
        deadline_s: float
        tags: bytes
        idempotency_key: str
        digest: bytes

    before = msgspec.msgpack.Decoder(Before).decode(record.encode(asked)[1:])
    after = record.decode(b"\x01" + msgspec.msgpack.encode(fields[:-1]))

    assert msgspec.structs.astuple(before) == fields[:-1]
    assert after == msgspec.structs.replace(asked, created_by=b"")
