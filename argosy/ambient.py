"""Environment variables that other programs set under names that Argosy reads. Pure.

Kubernetes describes the Services of a namespace to every pod (`NAME_SERVICE_HOST`, `NAME_PORT=tcp://…`), so a Service
named `argosy`, `grpc` or `metrics` sets variables that Argosy reads; and most other programs take LOG_FORMAT for a
template. Such a value cannot be meant for Argosy, so Argosy ignores it instead of refusing to start.
"""

import re
from typing import Final

_LINK_NAME: Final = re.compile(
    r".+(_SERVICE_HOST|_SERVICE_PORT(_[A-Z0-9_]+)?|_PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_PORT_NAME: Final = re.compile(r"(.+_)?PORT")
_LINK_VALUE: Final = re.compile(r"(tcp|udp|sctp)://\S+")
_TEMPLATE: Final = re.compile(r"%\(|%[a-z]|[{$]")


def is_of_others(name: str, value: object) -> bool:
    """Whether a variable (its name in upper case) is certainly not meant for Argosy."""
    if not isinstance(value, str):
        return False
    if _LINK_NAME.fullmatch(name):
        return True
    if _PORT_NAME.fullmatch(name):
        return _LINK_VALUE.fullmatch(value) is not None
    return name == "LOG_FORMAT" and _TEMPLATE.search(value) is not None
