"""The outermost layer: it counts every answer, adds headers that guard it, and answers every error as a problem.

The code below raises Argosy's errors and needs to know no HTTP statuses: only this module translates them.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from argosy import telemetry
from argosy.clock import Clock
from argosy.errors import (
    ArgosyError,
    GraphForbiddenError,
    LogUnavailableError,
    StoreReadOnlyError,
    StoreUnavailableError,
)
from argosy.gateway.access import principal_of
from argosy.gateway.graph_problems import GRAPH_ERRORS, problem_of_graph
from argosy.gateway.problems import RETRY_AFTER_S, Problem
from argosy.gateway.request_origin import HEADER, Network, Origins, request_id_of
from argosy.gateway.state import state_of
from argosy.identity.errors import (
    TenantExistsError,
    TenantNotFoundError,
    TokenNotFoundError,
    TokenRotatedError,
    TooManyRevocationsError,
    TooManyTokensError,
)

log = telemetry.logger()

# Their codes are those of problems.
IDENTITY_ERRORS: Final = (
    TenantExistsError,
    TenantNotFoundError,
    TokenNotFoundError,
    TokenRotatedError,
    TooManyRevocationsError,
    TooManyTokensError,
)
# No cache between the gateway and a client may keep what a tenant is shown.
_NOT_KEPT: Final = (b"cache-control", b"no-store")
_VARIES: Final = (b"vary", b"Authorization, Cookie")
# No page of another origin may take an answer for a script, a style or an image (see browser_guard.py).
_EVERYWHERE: Final = [(b"x-content-type-options", b"nosniff"), (b"cross-origin-resource-policy", b"same-origin")]


def problem_of(error: Exception) -> Problem:
    """Return the problem with which an error is answered."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, StoreReadOnlyError):
        return Problem(
            "store_unavailable", "Postgres is read-only now: nothing was written", retry_after_s=RETRY_AFTER_S
        )
    if isinstance(error, StoreUnavailableError | TimeoutError):
        return Problem("store_unavailable", "Postgres did not answer", retry_after_s=RETRY_AFTER_S)
    if isinstance(error, LogUnavailableError):
        return Problem("log_unavailable", "the log did not answer", retry_after_s=RETRY_AFTER_S)
    if isinstance(error, IDENTITY_ERRORS):
        return Problem(error.code, str(error))
    if isinstance(error, GRAPH_ERRORS):
        return problem_of_graph(error)
    if isinstance(error, RequestValidationError):
        return _of_validation(error)
    if isinstance(error, HTTPException):
        return _of_status(error)
    code = error.code if isinstance(error, ArgosyError) else type(error).__name__
    return Problem("internal", f"an error that should not happen ({code}); it was logged")


def _of_validation(error: RequestValidationError) -> Problem:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    what = "is not a parameter of this address" if first["type"] == "extra_forbidden" else first["msg"]
    return Problem("invalid_parameter", f"{where or 'the request'}: {what}")


def _of_status(error: HTTPException) -> Problem:
    if error.status_code == 405:
        return Problem("method_not_allowed", "see the Allow header, or /docs")
    return Problem("not_found", "see /docs for what there is")


async def answer_problem(request: Request, error: Exception) -> Response:
    """Return the answer to an error that a route raised. What an access control list denied is in the audit."""
    if isinstance(error, GraphForbiddenError):
        state_of(request).identity.audited.refused(request.scope, error.code, principal_of(request))
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else None
    if headers is not None and "Allow" in headers:
        headers["Allow"] = _allowed(request)
    return problem_of(error).response(headers)


def _allowed(request: Request) -> str:
    """Return the methods of an address, of all its routes: each of them knows only its own.

    app.state.routes has every route; the app itself does not show those of the routers that it includes.
    """
    routes = (route for route in request.app.state.routes if isinstance(route, Route))
    known = [route.methods or () for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return ", ".join(sorted({method for methods in known for method in methods}))


class Boundary:
    """ASGI middleware around the whole app."""

    def __init__(self, app: ASGIApp, clock: Clock, plain: Sequence[Route], trusted: Sequence[Network] = ()) -> None:
        """plain: the routes that FastAPI does not know, so that the scope does not name them. trusted: proxies."""
        self._origins = Origins(trusted)
        self._app = app
        self._clock = clock
        self._plain = {route.endpoint: str(route.path) for route in plain}
        self._observers: dict[tuple[str, int], Callable[[float], None]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s = self._clock.monotonic_s()
        request_id = (HEADER, self._origins.settle(scope))
        status = 0
        answered_s: float | None = None

        async def send_and_see(message: Message) -> None:
            nonlocal status, answered_s
            if message["type"] == "http.response.start":
                status = message["status"]
                answered_s = self._clock.monotonic_s()  # a stream may go on for hours
                headers = [*message.get("headers", ()), *_EVERYWHERE, request_id]
                if scope["path"].startswith("/v1/"):
                    headers.append(_VARIES)
                    if all(name != b"cache-control" for name, _ in headers):
                        headers.append(_NOT_KEPT)
                message["headers"] = headers
            await send(message)

        try:
            _keep_slashes(scope)
            await self._app(scope, receive, send_and_see)
        except ClientDisconnect:
            status = 499
        except Exception as error:
            # The last boundary: no request may end without an answer.
            status = await self._answer(error, status, scope, receive, send_and_see)
        finally:
            until_s = self._clock.monotonic_s() if answered_s is None else answered_s
            self._observe(scope, status, until_s - began_s)

    async def _answer(self, error: Exception, begun: int, scope: Scope, receive: Receive, send: Send) -> int:
        """Answer an error, and return the status of the answer.

        begun: the status of an answer that is on its way already, or 0. It cannot be taken back, only cut short.
        """
        problem = problem_of(error)
        if problem.code == "internal" or begun:
            about = {"path": scope["path"][:200], "request_id": request_id_of(scope)}
            log.error(telemetry.REQUEST_FAILED, **about, exc_info=error)
        if begun:
            return begun
        await problem.response()(scope, receive, send)
        return problem.kind.status

    def _observe(self, scope: Scope, status: int, elapsed_s: float) -> None:
        endpoint: Any = scope.get("endpoint")
        route = self._plain.get(endpoint) or str(getattr(scope.get("route"), "path", "none"))
        observe = self._observers.get((route, status))
        if observe is None:
            count = telemetry.REQUESTS.labels(route=route, status=str(status)).inc
            seconds = telemetry.REQUEST_S.labels(route=route).observe

            def observe(elapsed_s: float) -> None:
                count()
                seconds(elapsed_s)

            self._observers[route, status] = observe
        observe(elapsed_s)


def _keep_slashes(scope: Scope) -> None:
    """Route by the encoded path if it has an encoded slash: a slash in a name is no separator (names.path_segment)."""
    raw_path = scope.get("raw_path")
    if raw_path and b"%2" in raw_path and b"%2f" in raw_path.lower():
        path: str = raw_path.split(b"?", 1)[0].decode("ascii", "replace")
        scope["path"] = path
