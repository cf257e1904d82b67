"""Which ID tokens say who signed in, and with which words the others are refused."""

from typing import Any, Final

import pytest

from argosy.identity.access_token import BadTokenError, key_for, parse
from argosy.identity.id_token import subject_of
from argosy.identity.issuer import Issuer
from argosy.identity.signing_keys import SigningKey, keys_in
from tests.identity.signed_tokens import Signer, set_of, signed

NOW_S: Final = 1_800_000_000.0
ISSUER: Final = Issuer("https://login.example", "argosy")
SIGNER: Final = Signer("es")
KEYS: Final[tuple[SigningKey, ...]] = keys_in(set_of(SIGNER))
CLAIMS: Final[dict[str, Any]] = {
    "iss": ISSUER.issuer, "aud": "console", "sub": "ada", "iat": NOW_S - 5, "exp": NOW_S + 60, "nonce": "once",
    "at_hash": "of the access token",
}  # fmt: skip


def judged(signer: Signer = SIGNER, typ: str = "JWT", **changed: Any) -> str:
    claims = {name: value for name, value in {**CLAIMS, **changed}.items() if value is not ...}
    text = signed(signer.private, "ES256", {"alg": "ES256", "kid": "es", "typ": typ}, claims)
    try:
        parsed = parse(text)
        key = key_for(parsed, ISSUER, KEYS)
        assert key is not None
        return subject_of(parsed, ISSUER, key, NOW_S, client_id="console", nonce="once")
    except BadTokenError as error:
        return f"refused: {error.code}"


def test_a_good_one_says_who_signed_in() -> None:
    assert judged() == "ada"
    assert judged(aud=["console"]) == "ada"
    assert judged(aud=["console", "another"], azp="console") == "ada"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"signer": Signer("es")}, "signature"),
        ({"typ": "at+jwt"}, "id_type"),  # an access token
        ({"iss": "https://elsewhere.example"}, "id_issuer"),
        ({"aud": "argosy"}, "audience"),  # the gateway's own: it is no ID token of the console
        ({"aud": ...}, "audience"),
        ({"aud": ["console", "another"]}, "client"),
        ({"aud": ["console", "another"], "azp": "another"}, "client"),
        ({"azp": "another"}, "id_client"),
        ({"exp": NOW_S - 31}, "expired"),
        ({"exp": ...}, "no_times"),
        ({"iat": NOW_S + 31}, "not_yet"),
        ({"nonce": "another"}, "nonce"),
        ({"nonce": ...}, "nonce"),
        ({"nonce": 7}, "nonce"),
        ({"sub": ...}, "id_subject"),
        ({"sub": ""}, "id_subject"),
        ({"sub": "x" * 256}, "id_subject"),
    ],
)
def test_any_other_says_nothing(changed: dict[str, Any], code: str) -> None:
    assert judged(**changed) == f"refused: {code}"
