"""API tokens: opaque, of Argosy's own, in the form `argosy_t_` + 43 random characters + 6 of a checksum.

The form is for people and for scanners of secrets. The checksum finds mistakes of typing before anything is looked up;
it is no security. What is stored is a hash: 256 random bits need no slow one.
"""

import hashlib
import re
import secrets
import zlib
from enum import StrEnum
from typing import Final

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_LENGTH: Final = 43  # 62 ** 43 > 2 ** 256
_CHECK_LENGTH: Final = 6  # 62 ** 6 > 2 ** 32
HINT_LENGTH: Final = 4
_FORM: Final = re.compile(r"argosy_[ta]_[0-9A-Za-z]{49}")
_LOGIN_FORM: Final = re.compile(r"argosy_s_[0-9A-Za-z]{49}")
_HASHED: Final = b"argosy-token\0"


class TokenKind(StrEnum):
    """Of a tenant; of the installation (an operator's or an administrator's, of no tenant); of a login, which is the
    secret in its cookie, and no token.
    """

    TENANT = "t"
    ADMIN = "a"
    LOGIN = "s"


def mint(kind: TokenKind) -> str:
    """Return a new token, or the secret of a new login."""
    begin = f"argosy_{kind}_" + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_LENGTH))
    return begin + _checksum(begin)


def is_token(text: str) -> bool:
    """Whether text has the form of a token, and its checksum is right."""
    return _FORM.fullmatch(text) is not None and _is_checked(text)


def is_login(text: str) -> bool:
    """Whether text has the form of a login's secret, and its checksum is right."""
    return _LOGIN_FORM.fullmatch(text) is not None and _is_checked(text)


def digest(token: str) -> bytes:
    """Return the hash by which a token is stored and found."""
    return hashlib.sha256(_HASHED + token.encode()).digest()


def hint(token: str) -> str:
    """Return the characters by which people tell tokens apart in a list."""
    return token[9 : 9 + HINT_LENGTH]


def _is_checked(text: str) -> bool:
    return _checksum(text[:-_CHECK_LENGTH]) == text[-_CHECK_LENGTH:]


def _checksum(begin: str) -> str:
    value = zlib.crc32(begin.encode())
    digits = []
    for _ in range(_CHECK_LENGTH):
        value, digit = divmod(value, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
