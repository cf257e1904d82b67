"""What others put into the environment under names like ours. Pure.

Kubernetes tells every pod of the Services around it (`NAME_SERVICE_HOST`, `NAME_PORT=tcp://…`), so a Service that is
named `argosy`, `grpc` or `metrics` writes over names that Argosy reads; and LOG_FORMAT is a template to most other
programs. Nothing of the kind can be meant for Argosy, so it is passed over instead of stopping a start.
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
    """Return whether a variable (its name in upper case) is certainly not meant for Argosy."""
    if not isinstance(value, str):
        return False
    if _LINK_NAME.fullmatch(name):
        return True
    if _PORT_NAME.fullmatch(name):
        return _LINK_VALUE.fullmatch(value) is not None
    return name == "LOG_FORMAT" and _TEMPLATE.search(value) is not None
