"""Access tokens of issuers: JWTs (RFC 8725, RFC 9068). Decides whether one is good; fetches nothing, asks no clock.

In this order: its form and its header; the issuer that it names, and the key; the signature; only then what it says.
Nothing of a token leads anywhere: `jku`, `x5u`, `jwk` and `x5c` are neither followed nor used.
"""

import base64
import binascii
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from jwt import get_algorithm_by_name

from argosy.identity.issuer import Issuer
from argosy.identity.signing_keys import SigningKey
from argosy.identity.strict_json import NotStrictError, object_of

SIZE_BYTES_MAX: Final = 8_192
_HEADER_SIZE_BYTES_MAX: Final = 1_024
SUBJECT_LENGTH_MAX: Final = 255
_FORM: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_TYPES: Final = frozenset({"at+jwt", "application/at+jwt"})
_OF_ID_TOKENS: Final = ("nonce", "at_hash", "c_hash")


class BadTokenError(ValueError):
    """The token is not good. code: of the log and of the audit alone; who sent it learns no more than that."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Parsed(NamedTuple):
    """A token that has the right form. Nothing in it is true yet. issuer: `iss`; a string, or it would be refused."""

    signed: bytes
    signature: bytes
    algorithm: str
    kid: str | None
    typ: str
    issuer: str
    claims: dict[str, Any]


def is_jwt(text: str) -> bool:
    """Whether text has three parts, as a JWT has. It may be anything else still."""
    return _FORM.fullmatch(text) is not None


def parse(token: str) -> Parsed:
    """Return the parts of a token. Raises BadTokenError."""
    if len(token) > SIZE_BYTES_MAX:
        raise BadTokenError("too_large")
    form = _FORM.fullmatch(token)
    if form is None:
        raise BadTokenError("malformed")
    raw_header, raw_claims, signature = (_decoded(form[part]) for part in (1, 2, 3))
    if len(raw_header) > _HEADER_SIZE_BYTES_MAX:
        raise BadTokenError("header_too_large")
    header, claims = _object(raw_header), _object(raw_claims)
    if "crit" in header or "zip" in header or "enc" in header or header.get("b64", True) is not True:
        raise BadTokenError("extension")
    algorithm, kid, typ = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if not isinstance(algorithm, str) or not isinstance(kid, str | None) or not isinstance(typ, str):
        raise BadTokenError("malformed_header")
    issuer = claims.get("iss")
    if not isinstance(issuer, str):
        raise BadTokenError("issuer")
    return Parsed(f"{form[1]}.{form[2]}".encode(), signature, algorithm, kid, typ, issuer, claims)


def key_for(parsed: Parsed, issuer: Issuer, keys: Sequence[SigningKey]) -> SigningKey | None:
    """Return the key of an issuer that a token says it was signed with; None when the set has no such kid, which a
    newer set may have. Raises BadTokenError when no key of any set could be the right one.
    """
    if parsed.algorithm not in issuer.algorithms:
        raise BadTokenError("algorithm")
    if parsed.kid is not None:
        named = [key for key in keys if key.kid == parsed.kid]
        if named and parsed.algorithm not in named[0].algorithms:
            raise BadTokenError("algorithm_of_key")
        return named[0] if named else None
    fitting = [key for key in keys if parsed.algorithm in key.algorithms]
    if len(fitting) != 1:
        raise BadTokenError("no_kid")
    return fitting[0]


def verify(parsed: Parsed, issuer: Issuer, key: SigningKey, now_s: float) -> Mapping[str, Any]:
    """Return the claims of a token that its issuer signed, for this audience, and that is good now. now_s: Unix time.
    Raises BadTokenError.
    """
    check_signature(parsed, key)
    _check_type(parsed, issuer)
    claims = parsed.claims
    if parsed.issuer != issuer.issuer:
        raise BadTokenError("issuer")
    check_audience(claims, issuer)
    check_times(claims, issuer, now_s)
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 1 <= len(subject) <= SUBJECT_LENGTH_MAX:
        raise BadTokenError("subject")
    if "cnf" in claims:  # it is bound to a key that would have to be shown, too: to ignore that would unbind it
        raise BadTokenError("bound")
    return claims


def check_signature(parsed: Parsed, key: SigningKey) -> None:
    """Raise BadTokenError unless a token was signed with a key."""
    if not get_algorithm_by_name(parsed.algorithm).verify(parsed.signed, key.material, parsed.signature):
        raise BadTokenError("signature")


def expires_at_s(claims: Mapping[str, Any], issuer: Issuer) -> float:
    """Return when a good token ends, in Unix time, by this machine's clock."""
    return float(claims["exp"]) + issuer.skew_s


def _check_type(parsed: Parsed, issuer: Issuer) -> None:
    typ = parsed.typ.lower()
    if typ not in _TYPES and (issuer.typ or typ != "jwt"):
        raise BadTokenError("type")
    if any(name in parsed.claims for name in _OF_ID_TOKENS):
        raise BadTokenError("id_token")


def check_audience(claims: Mapping[str, Any], issuer: Issuer) -> None:
    """Raise BadTokenError unless a token is for this audience."""
    given = claims.get("aud")
    audiences = [given] if isinstance(given, str) else given
    if not isinstance(audiences, list) or not all(isinstance(each, str) for each in audiences):
        raise BadTokenError("audience")
    if issuer.audience not in audiences:
        raise BadTokenError("audience")
    client = claims.get("azp", claims.get("client_id"))
    if len(audiences) > 1 and issuer.clients and not (isinstance(client, str) and client in issuer.clients):
        raise BadTokenError("client")


def check_times(claims: Mapping[str, Any], issuer: Issuer, now_s: float) -> None:
    """Raise BadTokenError unless a token is good now, and for no longer than it may be."""
    expires_s, issued_s = _time(claims, "exp"), _time(claims, "iat")
    if expires_s is None or issued_s is None:
        raise BadTokenError("no_times")
    if expires_s <= now_s - issuer.skew_s:
        raise BadTokenError("expired")
    if max(issued_s, _time(claims, "nbf") or 0.0) > now_s + issuer.skew_s:
        raise BadTokenError("not_yet")
    if expires_s - issued_s > issuer.lifetime_s_max:
        raise BadTokenError("lifetime")


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadTokenError(f"malformed_{name}")
    try:
        moment_s = float(value)
    except OverflowError:
        raise BadTokenError(f"malformed_{name}") from None
    if not math.isfinite(moment_s):
        raise BadTokenError(f"malformed_{name}")
    return moment_s


def _decoded(part: str) -> bytes:
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise BadTokenError("malformed") from None


def _object(raw: bytes) -> dict[str, Any]:
    try:
        return object_of(raw)
    except NotStrictError:
        raise BadTokenError("malformed") from None
