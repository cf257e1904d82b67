"""ID tokens: what an issuer says of who signed in (OpenID Connect Core, 3.1.3.7). Decides whether one is good for a
sign-in.

It lets nobody in: that does the access token, by its own rules (access_token.py).
"""

import hmac
from typing import Final

from argosy.identity.access_token import (
    SUBJECT_LENGTH_MAX,
    BadTokenError,
    Parsed,
    check_audience,
    check_signature,
    check_times,
)
from argosy.identity.issuer import Issuer
from argosy.identity.signing_keys import SigningKey

_TYPES: Final = frozenset({"jwt", "id+jwt"})


def subject_of(parsed: Parsed, issuer: Issuer, key: SigningKey, now_s: float, *, client_id: str, nonce: str) -> str:
    """Return who signed in, of a token that the issuer made for this client and this sign-in. Raises BadTokenError."""
    check_signature(parsed, key)
    if parsed.typ.lower() not in _TYPES:
        raise BadTokenError("id_type")
    if parsed.issuer != issuer.issuer:
        raise BadTokenError("id_issuer")
    of_client = issuer._replace(audience=client_id, clients=frozenset({client_id}))
    check_audience(parsed.claims, of_client)
    if parsed.claims.get("azp", client_id) != client_id:
        raise BadTokenError("id_client")
    check_times(parsed.claims, of_client, now_s)
    given, subject = parsed.claims.get("nonce"), parsed.claims.get("sub")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode()):
        raise BadTokenError("nonce")
    if not isinstance(subject, str) or not 1 <= len(subject) <= SUBJECT_LENGTH_MAX:
        raise BadTokenError("id_subject")
    return subject
