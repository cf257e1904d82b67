"""Keys of an issuer, and tokens that it signs with them."""

import base64
import json
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec


def jwk_of(private: Any, algorithm: str, **more: Any) -> dict[str, Any]:
    """Return the public half of a key as an issuer shows it."""
    public = jwt.get_algorithm_by_name(algorithm).to_jwk(private.public_key(), as_dict=True)
    return {**public, **more}


def part(content: object) -> str:
    """Return a part of a JWT."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(private: Any, algorithm: str, header: object, claims: object) -> str:
    """Return a JWT with this header and these claims, whatever they say."""
    text = f"{part(header)}.{part(claims)}"
    return f"{text}.{part(jwt.get_algorithm_by_name(algorithm).sign(text.encode(), private))}"


class Signer:
    """A key of an issuer, by its kid."""

    def __init__(self, kid: str) -> None:
        self.kid = kid
        self.private = ec.generate_private_key(ec.SECP256R1())

    @property
    def jwk(self) -> dict[str, Any]:
        return jwk_of(self.private, "ES256", kid=self.kid)

    def token(self, claims: dict[str, Any], kid: str | None = None) -> str:
        return signed(self.private, "ES256", {"alg": "ES256", "kid": kid or self.kid, "typ": "at+jwt"}, claims)


def set_of(*signers: Signer) -> bytes:
    """Return the JWK set with the keys of some signers."""
    return json.dumps({"keys": [each.jwk for each in signers]}).encode()
