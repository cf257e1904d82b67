"""What claims of an access token mean here."""

from typing import Any

import pytest

from argosy.identity.access_token import BadTokenError
from argosy.identity.claims import rights_in, roles_for_lists, scopes_in, tenants_in
from argosy.identity.issuer import Issuer
from argosy.identity.scopes import OF_TENANTS, SCOPES_OF, Role, Scope

ISSUER = Issuer("https://login.example", "argosy", role_map={"staff": Role.USER, "boss": Role.ADMIN})
ADMINISTERS = ISSUER._replace(may_administer=True)


def test_a_tenant_stands_in_its_claim_and_nowhere_else() -> None:
    assert tenants_in({"tenant": "acme", "email": "bob@other.example"}, ISSUER) == ("acme",)
    assert tenants_in({"tenant": ["acme", "zeta", "acme"]}, ISSUER) == ("acme", "zeta")
    assert tenants_in({"org": "acme"}, ISSUER._replace(tenant_claim="org")) == ("acme",)


@pytest.mark.parametrize("tenant", [None, "", [], ["acme", 7], 7, {"acme": 1}, "a/b", "-a", "a" * 64, ["acme", "a b"]])
def test_a_token_without_a_valid_tenant_is_refused(tenant: object) -> None:
    with pytest.raises(BadTokenError, match="tenant"):
        tenants_in({"tenant": tenant, "email": "bob@acme.example"}, ISSUER)


def test_only_a_token_that_may_administer_needs_no_tenant() -> None:
    assert tenants_in({}, ADMINISTERS) == ()
    with pytest.raises(BadTokenError, match="tenant"):
        tenants_in({}, ISSUER)


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({}, frozenset()),
        ({"roles": ["staff"]}, SCOPES_OF[Role.USER]),
        ({"roles": "staff"}, SCOPES_OF[Role.USER]),
        ({"roles": ["user", "tenant", "admin"]}, frozenset()),
        ({"scope": "turns:read events:read openid"}, {Scope.TURNS_READ, Scope.EVENTS_READ}),
        ({"scp": ["turns:read", "offline"]}, {Scope.TURNS_READ}),
        ({"scp": "turns:read turns:write"}, {Scope.TURNS_READ, Scope.TURNS_WRITE}),
        ({"roles": ["staff"], "scope": "turns:resume"}, SCOPES_OF[Role.USER] | {Scope.TURNS_RESUME}),
    ],
)
def test_scopes_are_those_of_mapped_roles_and_those_that_are_named(
    claims: dict[str, Any], scopes: frozenset[Scope]
) -> None:
    assert scopes_in(claims, ISSUER) == scopes


def test_rights_beyond_a_tenant_come_only_with_a_token_that_may_administer() -> None:
    claims = {"roles": ["boss"], "scope": "tenants:act_as fleet:read"}

    assert scopes_in(claims, ISSUER) <= OF_TENANTS
    assert scopes_in(claims, ADMINISTERS) == SCOPES_OF[Role.ADMIN]


def test_a_missing_tenant_makes_no_right_within_one_a_right_over_all() -> None:
    issuer = ADMINISTERS._replace(role_map={"staff": Role.TENANT, "ops": Role.OPERATOR, "boss": Role.ADMIN})

    with pytest.raises(BadTokenError, match="tenant"):
        rights_in({"roles": ["staff"]}, issuer)
    with pytest.raises(BadTokenError, match="tenant"):
        rights_in({"scope": "audit:read tokens:write"}, issuer)
    assert rights_in({"roles": ["staff", "ops"]}, issuer) == ((), SCOPES_OF[Role.OPERATOR])
    assert rights_in({"roles": ["boss"]}, issuer) == ((), SCOPES_OF[Role.ADMIN])
    assert rights_in({"roles": ["staff"], "tenant": "acme"}, issuer) == (("acme",), SCOPES_OF[Role.TENANT])


def test_lists_know_roles_by_our_names_or_by_their_issuers_and_no_words_mean_two_things() -> None:
    issuer = ISSUER._replace(role_map={"staff": Role.USER, "tenant": Role.VIEWER, "boss": Role.ADMIN})
    own = "https://login.example|"

    assert roles_for_lists({"roles": ["staff", "hr", "staff"]}, issuer) == ("user", f"{own}hr", f"{own}staff")
    assert roles_for_lists({"roles": "tenant"}, issuer) == ("viewer", f"{own}tenant")
    assert roles_for_lists({"roles": ["operator", "admin"]}, issuer) == (f"{own}admin", f"{own}operator")
    assert roles_for_lists({"roles": ["boss"]}, issuer) == (f"{own}boss",)  # its tokens are no administrator's
    assert roles_for_lists({"roles": ["boss"]}, issuer._replace(may_administer=True)) == ("admin", f"{own}boss")
    assert roles_for_lists({}, issuer) == ()
    assert len(roles_for_lists({"roles": list(map(str, range(1_000)))}, issuer)) == 256


@pytest.mark.parametrize(
    ("tenants", "may"), [((), "abc"), (("acme",), "a"), (("acme*",), "ab"), (("*",), "abc"), (("zeta", "acme-2"), "bc")]
)
def test_an_issuer_is_held_to_its_tenants(tenants: tuple[str, ...], may: str) -> None:
    issuer = ISSUER._replace(tenants=tenants)
    named = {"a": "acme", "b": "acme-2", "c": "zeta"}

    assert "".join(each for each, tenant in named.items() if issuer.may_be_for(tenant)) == may


@pytest.mark.parametrize("claims", [{"roles": 7}, {"roles": [["staff"]]}, {"scope": ["turns:read"]}, {"scp": [7]}])
def test_claims_in_a_form_that_can_be_read_in_two_ways_refuse_the_token(claims: dict[str, Any]) -> None:
    with pytest.raises(BadTokenError):
        scopes_in(claims, ISSUER)
