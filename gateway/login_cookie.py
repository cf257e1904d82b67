"""The cookie of a login session, and when it counts.

| lock                                             | what it keeps out                                               |
|--------------------------------------------------|-----------------------------------------------------------------|
| SameSite=Strict; __Host- and Secure where TLS is | pages of other sites, and other hosts of the domain             |
| Sec-Fetch-Site: same-origin (none: GET only)     | pages of other ports of this machine, links from anywhere       |
| X-Argosy-Console: 1 with everything that writes  | forms, and whatever else sends a request without a script of ours |

A gateway speaks no TLS itself, so only GATEWAY_PUBLIC_URL can say that what is in front of it does: then the cookie is
__Host-argosy and Secure, whoever asks. Without it people sign in on the gateway's own machine alone.
"""

from typing import Final
from urllib.parse import urlsplit

from starlette.types import Scope as AsgiScope

from argosy.address import is_loopback
from argosy.config import Settings
from argosy.gateway.browser_guard import name_in
from argosy.gateway.problems import Problem

CONSOLE_HEADER: Final = b"x-argosy-console"
_READS: Final = ("GET", "HEAD")
_FORWARDED: Final = (b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host")
_LENGTH_MAX: Final = 8_192


class LoginCookies:
    """The cookies of a gateway: of a login, and of somebody who is about to sign in at an issuer."""

    def __init__(self, settings: Settings) -> None:
        self.is_secure = urlsplit(settings.gateway_public_url).scheme == "https"
        self.name = "__Host-argosy" if self.is_secure else "argosy"
        self.pending_name = f"{self.name}-login"

    def secret_in(self, scope: AsgiScope) -> str | None:
        """Return the secret of a login that a request has, if any. Raises Problem when it must not count, or when there
        is another credential beside it.
        """
        secret = _one(scope, self.name)
        if secret is None:
            return None
        if any(name == b"authorization" for name, _ in scope["headers"]):
            raise Problem("invalid_parameter", "a request has the cookie of a login or Authorization, not both")
        if not is_of_console(scope):
            raise Problem("foreign_origin", "the cookie of a login counts in requests of the console's own page alone")
        return secret

    def pending_in(self, scope: AsgiScope) -> str | None:
        """Return what a browser was given when it was sent to an issuer, if it has that."""
        return _one(scope, self.pending_name)

    def check_place(self, scope: AsgiScope) -> None:
        """Raise Problem where nobody may sign in: nothing says that what they send is encrypted."""
        if self.is_secure:
            return
        headers = dict(scope["headers"])
        client = scope.get("client")
        is_near = not client or not client[0] or is_loopback(str(client[0]))
        host = name_in(headers.get(b"host", b"").decode("latin-1"))
        is_own = is_loopback(host) or host.endswith(".localhost")
        if not is_near or not is_own or any(name in headers for name in _FORWARDED):
            detail = "people sign in at this machine alone, or over TLS at GATEWAY_PUBLIC_URL"
            raise Problem("login_refused", detail)

    def given(self, secret: str) -> str:
        """Return the Set-Cookie field that gives a login to a browser, until that ends."""
        return self._field(self.name, secret, "Strict")

    def pending_given(self, value: str, age_s: int) -> str:
        """Return the Set-Cookie field for somebody who is sent to an issuer, and comes back from there."""
        return f"{self._field(self.pending_name, value, 'Lax')}; Max-Age={age_s}"

    def taken(self) -> str:
        """Return the Set-Cookie field that takes a login away."""
        return f"{self._field(self.name, '', 'Strict')}; Max-Age=0"

    def pending_taken(self) -> str:
        return f"{self._field(self.pending_name, '', 'Lax')}; Max-Age=0"

    def _field(self, name: str, value: str, same_site: str) -> str:
        secure = "; Secure" if self.is_secure else ""
        return f"{name}={value}; Path=/; HttpOnly; SameSite={same_site}{secure}"


def is_of_console(scope: AsgiScope) -> bool:
    """Whether a page of this gateway sent a request: the browser says so, and what writes is a script of the console.
    What one typed into the address bar counts, if it only reads.
    """
    headers = dict(scope["headers"])
    site, is_read = headers.get(b"sec-fetch-site"), scope["method"] in _READS
    if site == b"same-origin":
        return is_read or has_console_header(scope)
    return site == b"none" and is_read


def has_console_header(scope: AsgiScope) -> bool:
    """Whether somebody at the console caused a request: pages of others cannot set this field. What a page asks by
    itself, while nobody touches it, goes without.
    """
    return any(name == CONSOLE_HEADER and value == b"1" for name, value in scope["headers"])


def _one(scope: AsgiScope, wanted: str) -> str | None:
    """Return the value of a cookie. Raises Problem when there are two: which of them is ours cannot be told."""
    found = [
        value.strip()
        for field, given in scope["headers"]
        if field == b"cookie"
        for name, _, value in (each.partition("=") for each in given.decode("latin-1").split(";"))
        if name.strip() == wanted
    ]
    if len(found) > 1:
        raise Problem("invalid_parameter", f"the cookie {wanted} may stand once only")
    if found and len(found[0]) > _LENGTH_MAX:
        raise Problem("invalid_parameter", f"the cookie {wanted} is too long")
    return found[0] if found else None
