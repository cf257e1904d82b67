"""Settings of issuers: what is taken, and with which line a process does not start."""

import json

import pytest

from argosy.config import load
from argosy.errors import SettingError
from argosy.identity.scopes import Role

ONE = {"AUTH_JWT_ISSUER": "https://login.example", "AUTH_JWT_AUDIENCE": "argosy"}


def test_without_settings_no_issuer_is_trusted() -> None:
    assert load({}).trusted_issuers == ()


def test_one_issuer_is_named_by_single_settings_and_further_ones_by_a_list() -> None:
    more = [{"issuer": "https://other.example", "audience": "argosy", "algorithms": ["ES256"], "skew_s": 5}]
    more[0]["tenants"] = ["acme-*", "zeta"]
    settings = load(
        {**ONE, "AUTH_JWT_ROLE_MAP": '{"staff": "user"}', "AUTH_JWT_ADMIN": "1", "AUTH_JWT_ISSUERS": json.dumps(more)}
    )

    first, second = (each.asks for each in settings.trusted_issuers)

    assert (first.issuer, first.audience, first.role_map, first.may_administer) == (
        "https://login.example",
        "argosy",
        {"staff": Role.USER},
        True,
    )
    assert (first.tenants, second.tenants) == ((), ("acme-*", "zeta"))
    assert (second.issuer, second.algorithms, second.skew_s, second.may_administer) == (
        "https://other.example",
        frozenset({"ES256"}),
        5.0,
        False,
    )


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"AUTH_JWT_AUDIENCE": ""}, "AUTH_JWT_ISSUER and AUTH_JWT_AUDIENCE"),
        ({"AUTH_JWT_ISSUER": ""}, "AUTH_JWT_ISSUER and AUTH_JWT_AUDIENCE"),
        ({"AUTH_JWT_ISSUER": "http://login.example"}, "AUTH_JWT_ISSUER"),
        ({"AUTH_JWT_JWKS_URI": "http://login.example/keys"}, "AUTH_JWT_JWKS_URI"),
        ({"AUTH_JWT_JWKS_URI": "file:///etc/passwd"}, "AUTH_JWT_JWKS_URI"),
        ({"AUTH_JWT_ALGORITHMS": "ES256,HS256"}, "HS256"),
        ({"AUTH_JWT_ALGORITHMS": "none"}, "none"),
        ({"AUTH_JWT_ALGORITHMS": "[]"}, "AUTH_JWT_ALGORITHMS"),
        ({"AUTH_JWT_SKEW_S": "121"}, "AUTH_JWT_SKEW_S"),
        ({"AUTH_JWT_ROLE_MAP": '{"staff": "king"}'}, "AUTH_JWT_ROLE_MAP"),
        ({"AUTH_JWT_ROLE_MAP": "{"}, "AUTH_JWT_ROLE_MAP"),
        ({"AUTH_JWT_TENANTS": "acme,*-x"}, "AUTH_JWT_TENANTS"),
        ({"AUTH_JWT_TENANTS": "acme", "AUTH_JWT_ADMIN": "1"}, "AUTH_JWT_TENANTS contradicts AUTH_JWT_ADMIN=1"),
        ({"AUTH_JWT_ISSUERS": "[{}]"}, "0.issuer"),
        ({"AUTH_JWT_ISSUERS": '[{"issuer": "https://a.example", "audience": "x", "tenants": ["a/b"]}]'}, "0.tenants"),
        ({"AUTH_JWT_ISSUERS": '[{"issuer": "https://a.example", "audience": "x", "jwk_uri": "y"}]'}, "0.jwk_uri"),
        ({"AUTH_JWT_ISSUERS": '[{"issuer": "https://login.example", "audience": "x"}]'}, "stands twice"),
        ({"AUTH_JWT_ISSUERS": "7"}, "AUTH_JWT_ISSUERS"),
    ],
)
def test_half_an_issuer_or_an_unsafe_one_is_refused_by_a_line_that_names_it(
    changed: dict[str, str], named: str
) -> None:
    with pytest.raises(SettingError) as refused:
        load({**ONE, **changed})

    assert named in str(refused.value)
    assert "\n" not in str(refused.value)
