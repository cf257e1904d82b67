"""The token of a client: where it comes from, and how requests present it. No repr, message or exception shows it."""

import threading
from collections.abc import Callable, Generator
from typing import Final

import httpx2

from argosy.address import is_loopback
from argosy.errors import CallerError

# A token, or a function that returns the one of now: it is called before the first request, and again after a refusal.
Token = str | Callable[[], str]

UNAUTHENTICATED: Final = 401


class Credential:
    """The token of one client, which any number of calls and threads share. None: requests present none.

    Raises CallerError when the token cannot be sent, or an address (urls) is http beyond this machine, where everybody
    on the way reads it, and allow_http does not say that it may be sent all the same.
    """

    def __init__(self, token: Token | None, urls: tuple[str, ...], *, allow_http: bool = False) -> None:
        self._source = token if callable(token) else None
        self._lock = threading.Lock()
        self._auth: httpx2.Auth | None = None
        if token is None:
            return
        if not allow_http and (bare := [url for url in urls if _is_bare(url)]):
            raise CallerError(
                f"a token is not sent to {bare[0]}: use https, or, where the network is trusted, allow_http "
                "(commands: ARGOSY_TOKEN_ALLOW_HTTP=1)"
            )
        if not callable(token):
            self._auth = _Presented(token)

    @property
    def auth(self) -> httpx2.Auth | None:
        """The token as it is now; None as long as it has not been asked for, and when there is none."""
        return self._auth

    @property
    def has_source(self) -> bool:
        """Whether there is a function that can be asked for another token."""
        return self._source is not None

    def ask(self, refused: httpx2.Auth | None) -> httpx2.Auth | None:
        """Ask for a token and return it, unless another call has asked since this one was refused. It may block."""
        with self._lock:
            if self._source is not None and self._auth is refused:
                self._auth = _Presented(self._source())
            return self._auth


class Bearer:
    """The token as one call, or one stream, presents it.

    One that is refused is asked for again once: until a request was good, or the call is over.
    """

    def __init__(self, credential: Credential) -> None:
        self._credential = credential
        self.auth = credential.auth
        self.is_asked_for = self.auth is None and credential.has_source
        self._may_ask_again = credential.has_source

    def ask(self) -> None:
        """Ask for the token that the next request presents. It may block, and raises what the function raises."""
        self.auth = self._credential.ask(self.auth)
        self.is_asked_for = False

    def is_renewable(self, status: int) -> bool:
        """Whether an answer with this status refuses the token, and another one is to be asked for."""
        if status != UNAUTHENTICATED or not self._may_ask_again:
            return False
        self._may_ask_again = False
        self.is_asked_for = True
        return True

    def was_good(self) -> None:
        """Note that a gateway took the token: after the next refusal it is asked for again."""
        self._may_ask_again = self._credential.has_source


class _Presented(httpx2.Auth):
    """The header with a token, in place of any other of this name. Raises CallerError when no header can hold it."""

    def __init__(self, token: object) -> None:
        if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable() or " " in token:
            raise CallerError("what was given as a token is none: a text of visible ASCII without blanks")
        self._header = f"Bearer {token}"

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response]:
        request.headers["authorization"] = self._header
        yield request


def _is_bare(url: str) -> bool:
    """Whether what is sent to an address goes over a network in clear text."""
    parsed = httpx2.URL(url)
    return parsed.scheme == "http" and not (is_loopback(parsed.host) or parsed.host.endswith(".localhost"))
