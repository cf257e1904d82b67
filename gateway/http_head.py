"""Whether the head of a request has only one meaning. Pure."""

import re
from typing import Final

_ONCE: Final = frozenset(
    {
        b"authorization", b"content-encoding", b"content-length", b"content-type", b"host", b"idempotency-key",
        b"last-event-id", b"origin", b"traceparent", b"transfer-encoding", b"x-argosy-tenant",
    }
)  # fmt: skip
_AUTHORITY = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")


def ambiguity(target: bytes, headers: list[tuple[bytes, bytes]], version: str) -> str:
    """Return why a head could be understood in two ways, or "": proxies and servers differ in which of them they take.

    target: the address in the request's first line, which may name a host, too (RFC 9112, 3.2.2).
    """
    names = {name for name, _ in headers}
    if version != "1.0" and b"host" not in names:
        return "HTTP/1.1 asks for a Host field"
    if len(names) < len(headers):
        for once in _ONCE & names:
            if sum(name == once for name, _ in headers) > 1:
                return f"the field {once.decode().title()} may stand once only"
    named = None if target.startswith(b"/") else _AUTHORITY.match(target)
    if named and named[1].lower() != dict(headers).get(b"host", b"").lower():
        return "the address names another host than the field Host"
    return ""
