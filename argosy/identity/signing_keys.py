"""The keys with which an issuer signs, out of its JWK set (RFC 7517).

A key that cannot sign an access token here is left out: one for encryption, a shared secret, a short one of RSA, one
on a curve that is not known. A set in which nothing is left is no set.
"""

import hashlib
import json
from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from argosy.identity.strict_json import NotStrictError, object_of

SIZE_BYTES_MAX: Final = 262_144  # of a set
KEYS_MAX: Final = 64  # in a set
_RSA_BITS_MIN: Final = 2_048
_OF_KIND: Final = {
    ("RSA", None): frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
    ("EC", "P-256"): frozenset({"ES256"}),
    ("EC", "P-384"): frozenset({"ES384"}),
    ("EC", "P-521"): frozenset({"ES512"}),
    ("OKP", "Ed25519"): frozenset({"EdDSA"}),
}


class SigningKey(NamedTuple):
    """A public key. kid: its name in the set, if it has one. algorithms: those with which it may have signed. material:
    as the library that verifies takes it. thumbprint: of the key itself, whatever its name.
    """

    kid: str | None
    algorithms: frozenset[str]
    material: Any
    thumbprint: bytes


class NoKeysError(ValueError):
    """What was read is no JWK set, or has no key that may sign."""


def keys_in(raw: bytes) -> tuple[SigningKey, ...]:
    """Return the keys of a JWK set that may sign. Raises NoKeysError."""
    if len(raw) > SIZE_BYTES_MAX:
        raise NoKeysError(f"the set has more than {SIZE_BYTES_MAX} bytes")
    try:
        given = object_of(raw).get("keys")
    except NotStrictError as error:
        raise NoKeysError(f"the set cannot be read: {error}") from None
    if not isinstance(given, list) or len(given) > KEYS_MAX:
        raise NoKeysError(f"the set has no list of at most {KEYS_MAX} keys")
    found = tuple(key for each in given if (key := _key(each)) is not None)
    if not found:
        raise NoKeysError("the set has no key that may sign")
    names = [key.kid for key in found if key.kid is not None]
    if len(names) != len(set(names)):
        raise NoKeysError("two keys of the set have one kid")
    return found


def _key(jwk: object) -> SigningKey | None:
    if not isinstance(jwk, dict) or jwk.get("use", "sig") != "sig":
        return None
    ops = jwk.get("key_ops")
    if ops is not None and not (isinstance(ops, list) and "verify" in ops):
        return None
    kty = jwk.get("kty")
    crv = None if kty == "RSA" else jwk.get("crv")
    fitting = _OF_KIND.get((kty, crv)) if isinstance(kty, str) and isinstance(crv, str | None) else None
    own = jwk.get("alg")
    if fitting is None or not isinstance(own, str | None) or (own is not None and own not in fitting):
        return None
    algorithms = fitting if own is None else frozenset({own})
    kid = jwk.get("kid")
    if not isinstance(kid, str | None):
        return None
    try:
        # Without "d" and its like: what verifies needs no private half, and none is kept here.
        public = {name: value for name, value in jwk.items() if name in ("kty", "crv", "n", "e", "x", "y")}
        material = PyJWK.from_dict(public, min(algorithms)).key
    except (PyJWTError, ValueError, TypeError, KeyError):
        return None
    if isinstance(material, RSAPublicKey) and material.key_size < _RSA_BITS_MIN:
        return None
    thumbprint = hashlib.sha256(json.dumps(public, sort_keys=True).encode()).digest()
    return SigningKey(kid, algorithms, material, thumbprint)
