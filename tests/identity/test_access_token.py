"""Which access tokens are good, and with which words the others are refused."""

import hashlib
import hmac
import json
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from argosy.identity.access_token import SIZE_BYTES_MAX, BadTokenError, is_jwt, key_for, parse, verify
from argosy.identity.issuer import Issuer
from argosy.identity.signing_keys import NoKeysError, SigningKey, keys_in
from tests.identity.signed_tokens import jwk_of, part, signed

NOW_S: Final = 1_800_000_000.0
ISSUER: Final = Issuer("https://login.example", "argosy")
RSA_KEY: Final = rsa.generate_private_key(65_537, 2_048)
EC_KEY: Final = ec.generate_private_key(ec.SECP256R1())
P384_KEY: Final = ec.generate_private_key(ec.SECP384R1())
ED_KEY: Final = ed25519.Ed25519PrivateKey.generate()
STRANGERS_KEY: Final = ec.generate_private_key(ec.SECP256R1())
CLAIMS: Final[dict[str, Any]] = {
    "iss": ISSUER.issuer,
    "aud": "argosy",
    "sub": "alice",
    "iat": NOW_S - 10,
    "exp": NOW_S + 300,
}
# Something that a signature is good for, whichever key is named.
_SIGNERS: Final[dict[str, Any]] = {"rs": RSA_KEY, "es": EC_KEY, "es384": P384_KEY, "ed": ED_KEY}


def the_keys() -> tuple[SigningKey, ...]:
    jwks = [
        jwk_of(RSA_KEY, "RS256", kid="rs"),
        jwk_of(EC_KEY, "ES256", kid="es"),
        jwk_of(P384_KEY, "ES384", kid="es384"),
        jwk_of(ED_KEY, "EdDSA", kid="ed"),
    ]
    return keys_in(json.dumps({"keys": jwks}).encode())


KEYS: Final = the_keys()


def token(claims: object = None, *, header: object = None, kid: str = "es", signer: Any = None) -> str:
    """A token, signed with the key that the header names unless another signer is given."""
    algorithm = {"rs": "RS256", "es": "ES256", "es384": "ES384", "ed": "EdDSA"}[kid]
    header = {"alg": algorithm, "kid": kid, "typ": "at+jwt"} if header is None else header
    return signed(signer or _SIGNERS[kid], algorithm, header, CLAIMS if claims is None else claims)


def claims_with(**changed: Any) -> dict[str, Any]:
    return {name: value for name, value in {**CLAIMS, **changed}.items() if value is not ...}


def judged(text: str, issuer: Issuer = ISSUER, keys: tuple[SigningKey, ...] = KEYS) -> str:
    """Return `good`, `unknown_kid`, or the code with which a token is refused."""
    try:
        parsed = parse(text)
        key = key_for(parsed, issuer, keys)
        if key is None:
            return "unknown_kid"
        verify(parsed, issuer, key, NOW_S)
    except BadTokenError as error:
        return error.code
    return "good"


@pytest.mark.parametrize("kid", ["rs", "es", "ed"])
def test_a_token_that_the_issuer_signed_is_good_with_each_kind_of_key(kid: str) -> None:
    assert judged(token(kid=kid)) == "good"


@pytest.mark.parametrize(
    "claims",
    [
        claims_with(aud=["other", "argosy"]),
        claims_with(exp=NOW_S - 29),
        claims_with(iat=NOW_S + 29, nbf=NOW_S + 29),
        claims_with(nbf=NOW_S - 1),
        claims_with(sub="x" * 255),
    ],
)
def test_a_token_is_good_up_to_its_bounds(claims: dict[str, Any]) -> None:
    assert judged(token(claims)) == "good"


def header(**changed: Any) -> dict[str, Any]:
    given = {"alg": "ES256", "kid": "es", "typ": "at+jwt", **changed}
    return {name: value for name, value in given.items() if value is not ...}


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (header(alg="none"), "algorithm"),
        (header(alg="None"), "algorithm"),
        (header(alg="nOnE"), "algorithm"),
        (header(alg=""), "algorithm"),
        (header(alg="HS256"), "algorithm"),
        (header(alg="ES384", kid="es384"), "algorithm"),
        (header(alg="RS256"), "algorithm_of_key"),
        (header(alg="EdDSA"), "algorithm_of_key"),
        (header(alg=...), "malformed_header"),
        (header(alg=["ES256"]), "malformed_header"),
        (header(kid=7), "malformed_header"),
        (header(typ=7), "malformed_header"),
        (header(kid="unknown"), "unknown_kid"),
        (header(kid="../../etc/passwd"), "unknown_kid"),
        (header(kid="' OR 1=1 --"), "unknown_kid"),
        (header(crit=["exp"]), "extension"),
        (header(crit=[]), "extension"),
        (header(b64=False), "extension"),
        (header(zip="DEF"), "extension"),
        (header(enc="A128GCM"), "extension"),
        (header(typ="secevent+jwt"), "type"),
        (header(typ="dpop+jwt"), "type"),
        (header(x="y" * 1_024), "header_too_large"),
        ([], "malformed"),
        (b'{"alg":"ES256","alg":"none","kid":"es"}', "malformed"),
        (b'{"alg":"ES256"', "malformed"),
        (b"\xff\xfe", "malformed"),
    ],
)
def test_a_token_with_such_a_header_is_refused_although_it_is_signed(given: object, code: str) -> None:
    assert judged(token(header=given)) == code


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        (claims_with(iss=...), "issuer"),
        (claims_with(iss=["https://login.example"]), "issuer"),
        (claims_with(iss="https://login.example/"), "issuer"),
        (claims_with(aud=...), "audience"),
        (claims_with(aud="other"), "audience"),
        (claims_with(aud=[]), "audience"),
        (claims_with(aud={"argosy": True}), "audience"),
        (claims_with(aud=["argosy", 7]), "audience"),
        (claims_with(exp=...), "no_times"),
        (claims_with(iat=...), "no_times"),
        (claims_with(exp=str(NOW_S + 300)), "malformed_exp"),
        (claims_with(exp=True), "malformed_exp"),
        (claims_with(exp=[NOW_S]), "malformed_exp"),
        (claims_with(exp=10**400), "malformed_exp"),
        (claims_with(iat="now"), "malformed_iat"),
        (claims_with(nbf="now"), "malformed_nbf"),
        (claims_with(exp=NOW_S - 30), "expired"),
        (claims_with(iat=NOW_S + 31), "not_yet"),
        (claims_with(nbf=NOW_S + 31), "not_yet"),
        (claims_with(exp=NOW_S + 86_401), "lifetime"),
        (claims_with(sub=...), "subject"),
        (claims_with(sub=""), "subject"),
        (claims_with(sub=7), "subject"),
        (claims_with(sub="x" * 256), "subject"),
        (claims_with(nonce="n"), "id_token"),
        (claims_with(at_hash="h"), "id_token"),
        (claims_with(c_hash="h"), "id_token"),
        (claims_with(cnf={"jkt": "x"}), "bound"),
        ([CLAIMS], "malformed"),
        (b'{"iss":"https://login.example","iss":"https://evil.example"}', "malformed"),
        (json.dumps(CLAIMS).replace("1800000300.0", "NaN").encode(), "malformed"),
        (json.dumps(CLAIMS).replace("1800000300.0", "1e400").encode(), "malformed"),
        (json.dumps(CLAIMS).replace("1800000300.0", "Infinity").encode(), "malformed"),
        (json.dumps(CLAIMS).replace("1800000300.0", "1" * 5_000).encode(), "malformed"),
        (b"[" * 3_000, "malformed"),
    ],
)
def test_a_token_with_such_claims_is_refused_although_it_is_signed(claims: object, code: str) -> None:
    assert judged(token(claims)) == code


def test_a_token_that_somebody_else_signed_is_refused() -> None:
    assert judged(token(signer=STRANGERS_KEY)) == "signature"


def test_a_signature_of_zeros_is_refused() -> None:
    begin = token().rpartition(".")[0]

    assert judged(f"{begin}.{part(bytes(64))}") == "signature"
    assert judged(f"{begin}.{part(bytes(1))}") == "signature"


def test_a_public_key_is_no_shared_secret() -> None:
    pem = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    begin = f"{part({'alg': 'HS256', 'kid': 'rs'})}.{part(CLAIMS)}"
    forged = f"{begin}.{part(hmac.digest(pem, begin.encode(), hashlib.sha256))}"

    assert judged(forged) == "algorithm"


def test_a_key_that_a_token_brings_with_it_is_not_used() -> None:
    brought = {
        "jwk": jwk_of(STRANGERS_KEY, "ES256"),
        "jku": "https://evil.example/keys",
        "x5u": "https://evil.example/chain",
    }

    assert judged(token(header=header(**brought), signer=STRANGERS_KEY)) == "signature"


def test_what_was_signed_cannot_be_changed() -> None:
    first, _, signature = token().split(".")

    assert judged(f"{first}.{part(claims_with(sub='mallory'))}.{signature}") == "signature"


@pytest.mark.parametrize(
    "text",
    ["", "a", "a.b", "a.b.c.d", "..", "a..c", "a.b.c\n", " a.b.c", "a.b.c=", "a+b.c.d", "é.b.c", "A.A.A"],
)
def test_what_is_no_token_is_refused(text: str) -> None:
    assert judged(text) == "malformed"


def test_a_token_over_its_bound_is_refused_before_it_is_looked_into() -> None:
    long = token(claims_with(pad="x" * SIZE_BYTES_MAX))

    assert is_jwt(long)
    assert judged(long) == "too_large"


def test_without_a_kid_a_token_is_good_only_if_one_key_alone_fits() -> None:
    nameless = token(header=header(kid=...))
    two = keys_in(json.dumps({"keys": [jwk_of(EC_KEY, "ES256"), jwk_of(STRANGERS_KEY, "ES256")]}).encode())

    assert judged(nameless) == "good"  # of the four keys one is on this curve
    assert judged(nameless, keys=two) == "no_kid"


def test_an_issuer_may_ask_for_the_type_of_access_tokens_and_for_its_clients() -> None:
    strict = ISSUER._replace(typ="at+jwt", clients=frozenset({"console"}))

    assert judged(token(header=header(typ="JWT"))) == "good"
    assert judged(token(header=header(typ="JWT")), strict) == "type"
    assert judged(token(header=header(typ=...)), strict) == "type"
    assert judged(token(claims_with(aud=["argosy", "other"])), strict) == "client"
    assert judged(token(claims_with(aud=["argosy", "other"], azp="console")), strict) == "good"
    assert judged(token(claims_with(aud=["argosy", "other"], azp=["console"])), strict) == "client"


@pytest.mark.parametrize(
    "jwk",
    [
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"},
        jwk_of(RSA_KEY, "RS256", use="enc"),
        jwk_of(RSA_KEY, "RS256", key_ops=["encrypt"]),
        jwk_of(RSA_KEY, "RS256", key_ops="verify"),
        jwk_of(RSA_KEY, "RS256", alg="RSA-OAEP"),
        jwk_of(rsa.generate_private_key(65_537, 1_024), "RS256"),  # noqa: S505 (that is the point)
        jwk_of(RSA_KEY, "RS256", alg=["RS256"]),
        jwk_of(RSA_KEY, "RS256", use=["sig"]),
        jwk_of(EC_KEY, "ES256", crv="P-384"),
        jwk_of(EC_KEY, "ES256", alg="RS256"),
        jwk_of(EC_KEY, "ES256", kid=7),
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": ["EC"], "crv": "P-256"},
        {},
        "key",
    ],
)
def test_a_key_that_may_not_sign_is_left_out(jwk: object) -> None:
    good = jwk_of(ED_KEY, "EdDSA", kid="good")

    keys = keys_in(json.dumps({"keys": [jwk, good]}).encode())

    assert [key.kid for key in keys] == ["good"]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys":{}}',
        b'{"keys":[]}',
        b'{"keys":[{"kty":"oct","k":"eA"}]}',
        json.dumps({"keys": [jwk_of(EC_KEY, "ES256", kid="one"), jwk_of(ED_KEY, "EdDSA", kid="one")]}).encode(),
        json.dumps({"keys": [jwk_of(EC_KEY, "ES256")] * 65}).encode(),
        b" " * 262_145,
    ],
)
def test_what_is_no_set_of_signing_keys_is_refused(raw: bytes) -> None:
    with pytest.raises(NoKeysError):
        keys_in(raw)
