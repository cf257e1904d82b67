"""How both clients use httpx2: its settings, and the conversion of its answers."""

from collections.abc import Mapping
from typing import Any, Final

import httpx2

from argosy.client.calls import ANSWER_S, Call, checked
from argosy.client.following import SILENT_S
from argosy.client.patience import Answer
from argosy.errors import CallerError

UNIX: Final = "unix:"
_SCHEMES: Final = ("http", "https")
CONNECT_S: Final = 5.0  # a packet that is lost is sent again after 1 s, and after 2 s more
# Only idle connections are bounded in number: every stream holds a connection for as long as it lasts.
LIMITS: Final = httpx2.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=30.0)
STREAM_TIMEOUT: Final = httpx2.Timeout(CONNECT_S, read=SILENT_S)

# The largest message of a stream is an event with all channels of a turn (CHANNELS_SIZE_BYTES_MAX), escaped as JSON.
_MESSAGE_SIZE_BYTES_MAX: Final = 128 * 1024 * 1024

OK: Final = 200
CONFLICT: Final = 409
# The errors of a call without an answer, or of a stream that breaks. An SSEError is a TransportError, too.
UNREACHABLE: Final = (httpx2.TransportError,)


def urls_of(urls: tuple[str, ...]) -> tuple[str, ...]:
    """Return the addresses of gateways unchanged. Raises CallerError unless each is http://…, https://… or
    unix:/path/of/a/socket.
    """
    for url in urls:
        try:
            is_address = url.startswith(f"{UNIX}/") or (httpx2.URL(url).host and httpx2.URL(url).scheme in _SCHEMES)
        except (httpx2.InvalidURL, TypeError):
            is_address = False
        if not is_address:
            raise CallerError(f"{url!r} is no address of a gateway, such as http://127.0.0.1:9000 or unix:/path")
    return urls


def options(url: str, tenant: str | None, headers: Mapping[str, str] | None) -> dict[str, Any]:
    """Return the arguments for an httpx2 client of one gateway. It ignores proxies of the environment: a gateway's
    address is taken as it is.

    Raises CallerError when a header's name or value is not valid.
    """
    given = checked({**(headers or {}), **({"x-argosy-tenant": tenant} if tenant is not None else {})})
    base_url = "http://localhost" if url.startswith(UNIX) else url
    return {"base_url": base_url, "headers": given, "timeout": ANSWER_S, "trust_env": False}


def socket_of(url: str) -> str | None:
    """Return the path of the Unix socket in a unix: address; None for another address."""
    return url.removeprefix(UNIX) if url.startswith(UNIX) else None


def timeout_of(call: Call, left_s: float) -> httpx2.Timeout:
    """Return the time-outs of a call. left_s: the seconds until the caller's deadline, which none exceeds."""
    answer_s = min(call.answer_s + call.wait_s, left_s)
    return httpx2.Timeout(min(CONNECT_S, left_s), read=answer_s, write=min(ANSWER_S, left_s))


def answer_of(response: httpx2.Response) -> Answer:
    """Convert a response, whose content must have been read."""
    return Answer(response.status_code, response.content, response.headers.get("retry-after", ""))


def messages_of(response: httpx2.Response) -> httpx2.EventSource:
    """Return the messages of a stream, each of bounded size. Iterating raises httpx2.TransportError."""
    return httpx2.EventSource(response, max_event_size=_MESSAGE_SIZE_BYTES_MAX)
