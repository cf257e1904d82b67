"""Takes the secrets that this machine knows out of what is handed on, wherever they stand in it."""

import base64
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, unquote, urlsplit

# Shorter ones would also take words out that are no secrets; Argosy's own secrets are longer.
_LENGTH_MIN: Final = 6
_PIECE_LENGTH_MIN: Final = 16  # of a secret that holds several, as a list of keys does
_PIECES: Final = re.compile(r"[\s,;:\"'{}\[\]]+")
_LOGIN: Final = re.compile(rb"(?<=://)[^/@\s\"']+@")
MARK: Final = b"(a secret)"


class Redaction:
    """Replaces secrets, and logins in addresses. secrets: their values."""

    def __init__(self, secrets: Iterable[str]) -> None:
        found = {form for secret in secrets for piece in _pieces(secret) for form in _forms(piece)}
        # The longest first: one may be a part of another.
        self._secrets = sorted((each.encode() for each in found), key=len, reverse=True)

    def apply(self, content: bytes) -> bytes:
        """Return the content with MARK in the place of each secret."""
        for secret in self._secrets:
            content = content.replace(secret, MARK)
        return _LOGIN.sub(MARK + b"@", content)


def _pieces(secret: str) -> set[str]:
    """Return the secret, and what of it is one by itself."""
    found = {each for each in _PIECES.split(secret) if len(each) >= _PIECE_LENGTH_MIN}
    if "://" in secret:
        password = urlsplit(secret).password or ""
        found |= {password, unquote(password)}
    return {each for each in (*found, secret.strip()) if len(each) >= _LENGTH_MIN}


def _forms(secret: str) -> set[str]:
    """Return how a secret may be written."""
    return {secret, quote(secret, safe=""), quote(secret), base64.b64encode(secret.encode()).decode()}
