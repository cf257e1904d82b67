"""Checks the address of Postgres before the driver sees it: the driver's errors quote parts of a wrong one."""

import re
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qs, urlsplit

from argosy.errors import SettingError

_SHAPE: Final = "it looks like postgresql://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=require"
_ESCAPE: Final = "special characters in a user or password are written as %XX (@ as %40, / as %2F, # as %23, % as %25)"
_SCHEMES: Final = ("postgresql", "postgres")
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.%\w]*\]|[^\s:\[\]@]*)(:(\d*))?")
_PORT_MAX: Final = 65_535
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


@lru_cache(maxsize=8)
def check_dsn(dsn: str) -> None:
    """Raise SettingError when the address cannot be used: one line that says what is wrong and quotes nothing of it."""
    if fault := _fault(dsn):
        raise SettingError(f"STATE_DB_URI cannot be used: {fault}") from None


def _fault(dsn: str) -> str:
    """Return what is wrong with the address, in words; empty when nothing is."""
    if not dsn.isprintable():
        return "it has a line break or another character that an address cannot have"
    try:
        parts = urlsplit(dsn)
    except ValueError:
        return f"{_SHAPE}; {_ESCAPE}"
    if parts.scheme not in _SCHEMES:
        return f"it must begin with postgresql://; {_SHAPE}"
    login, _, hosts = parts.netloc.rpartition("@")
    if "@" in login or parts.fragment or (not login and "@" in f"{parts.path}{parts.query}"):
        return _ESCAPE
    if _BAD_ESCAPE.search(login) or _BAD_ESCAPE.search(parts.path):
        return f"it has a % without two hexadecimal digits after it; {_ESCAPE}"
    for host in hosts.split(","):
        found = _HOST.fullmatch(host)
        if found is None or (found[3] and not 0 < int(found[3]) <= _PORT_MAX):
            return f"its port is not a valid number (1 to {_PORT_MAX}), or its host is not valid; {_SHAPE}; {_ESCAPE}"
    return _query_fault(parts.query)


def _query_fault(query: str) -> str:
    if not query:
        return ""
    try:
        fields = parse_qs(query, strict_parsing=True)
    except ValueError:
        return f"the part after its ? is not NAME=VALUE&NAME=VALUE; {_SHAPE}; {_ESCAPE}"
    for port in ",".join(fields.get("port", [])).split(","):
        if port and not (port.isdecimal() and 0 < int(port) <= _PORT_MAX):
            return f"its port is not a valid number (1 to {_PORT_MAX})"
    return ""
