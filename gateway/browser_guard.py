"""Protection from other websites, whose pages run in a browser that can reach this gateway.

| what another website does                | what stops it                                                       |
|------------------------------------------|---------------------------------------------------------------------|
| makes a name of its own resolve to us:   | Host must be a name of this gateway                                 |
| by DNS rebinding its page is our origin  |                                                                     |
| sends us requests from its page          | Origin and Sec-Fetch-Site show it; only a link to us may be followed |
| embeds our answers in its page           | the same; nosniff and CORP on every answer (boundary.py)            |

The gateway never sends a CORS header. Clients that are no browsers send none of these headers but Host, so only the
check of Host concerns them. The paths for load balancers and scrapers are exempt, whichever Host they are asked by:
they show nothing of a tenant.
"""

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from argosy.config import Settings
from argosy.gateway.problems import Problem

EXEMPT_PATHS: Final = frozenset({"/healthz", "/readyz", "/metrics"})
# Nobody can register a name under these on the internet (RFC 6761, 6762, 8375; .internal by ICANN).
PRIVATE_SUFFIXES: Final = (".local", ".internal", ".home.arpa")

_HOSTS_KNOWN_MAX: Final = 1_000  # names that are not remembered are looked at each time


def name_in(host: str) -> str:
    """Return the name or address in a Host header (or an authority), without port, in lower case."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].removesuffix(".")


def is_own_name(name: str, own_names: frozenset[str], *, is_remote: bool) -> bool:
    """Whether a browser that asks for this name may mean this gateway.

    Any address may be asked for: it cannot be rebound, and leads to the host that has it. is_remote: the gateway serves
    a trusted network (GATEWAY_ALLOW_REMOTE), so it takes names that no stranger can register for its own.
    """
    if name in own_names or name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ip_address(name)
    except ValueError:
        return is_remote and bool(name) and ("." not in name or name.endswith(PRIVATE_SUFFIXES))
    return True


def is_foreign(method: str, headers: dict[bytes, bytes], own_authorities: frozenset[str]) -> bool:
    """Whether a page of another origin sent a request, other than by a link that a user followed.

    own_authorities: values of host[:port] that are the gateway's own, beside the one in Host.
    """
    origin = headers.get(b"origin")
    if origin is not None:
        authority = origin.partition(b"://")[2].lower()
        if authority != headers.get(b"host", b"").lower() and authority.decode("latin-1") not in own_authorities:
            return True
    if headers.get(b"sec-fetch-site", b"none") in (b"none", b"same-origin"):
        return False
    is_followed_link = headers.get(b"sec-fetch-mode") == b"navigate" and headers.get(b"sec-fetch-dest") == b"document"
    return not (is_followed_link and method in ("GET", "HEAD"))


class BrowserGuard:
    """ASGI middleware that answers the requests that it refuses."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._is_remote = settings.gateway_allow_remote
        public = urlsplit(settings.gateway_public_url).netloc
        hosts = (*settings.gateway_hosts, public) if public else settings.gateway_hosts
        self._own_authorities = frozenset(host.lower() for host in hosts)
        self._own_names = frozenset(name_in(host) for host in (settings.host, *hosts))
        self._hosts_known: set[bytes] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        problem = None if scope["path"] in EXEMPT_PATHS else self._problem_of(scope)
        app = self._app if problem is None else problem.response()
        await app(scope, receive, send)

    def _problem_of(self, scope: Scope) -> Problem | None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        host = headers.get(b"host")
        # HTTP/1.0 knows no Host; every browser sends one.
        if host is not None and host not in self._hosts_known:
            name = name_in(host.decode("latin-1"))
            if not is_own_name(name, self._own_names, is_remote=self._is_remote):
                advice = "call it by its address, or name it in GATEWAY_HOSTS"
                return Problem("unknown_host", f"{name[:200]!r} is no name of this gateway: {advice}")
            if len(self._hosts_known) < _HOSTS_KNOWN_MAX:
                self._hosts_known.add(host)
        if is_foreign(scope["method"], headers, self._own_authorities):
            origin = headers.get(b"origin", b"another site").decode("latin-1")
            return Problem("foreign_origin", f"the page of {origin[:200]!r} is not one of this gateway")
        return None
