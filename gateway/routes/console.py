"""GET / and /console/{name}: the console, a page that shows what the API shows and does what the API can do.

GET /docs leads to the console's page about the API. The files are static, and the page has no rights of its own. Its
policy lets it load from this gateway and call this gateway only, run no code but these files, and turn no text into
markup (Trusted Types).
"""

import hashlib
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from argosy.gateway.access import GuardedRoute, open_to_all
from argosy.gateway.problems import Problem

router: Final = APIRouter(include_in_schema=False, route_class=GuardedRoute)

FOLDER: Final = Path(__file__).parents[1] / "console"
MEDIA_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    # The browser asks for a file each time and mostly gets 304: it never mixes files of two versions of Argosy.
    "Cache-Control": "no-cache",
}


class File(NamedTuple):
    content: bytes
    etag: str
    media_type: str


@router.api_route("/", methods=["GET", "HEAD"])
@open_to_all
async def get_page(request: Request) -> Response:
    """The console's page."""
    return _answer(request, files()["index.html"])


@router.api_route("/console/{name}", methods=["GET", "HEAD"])
@open_to_all
async def get_file(name: str, request: Request) -> Response:
    """A file of the console."""
    if name not in files():
        raise Problem("not_found", "the console has no such file")
    return _answer(request, files()[name])


@router.get("/docs")
@open_to_all
async def get_docs() -> Response:
    """Redirect to the console's page about the API.

    FastAPI's own page runs code from another server, which could do at this gateway whatever its reader can.
    """
    return RedirectResponse("/#/api")


@cache
def files() -> dict[str, File]:
    """Return the files of the console, by name."""
    found = {}
    for path in sorted(FOLDER.iterdir()):
        if media_type := MEDIA_TYPES.get(path.suffix):
            content = path.read_bytes()
            found[path.name] = File(content, f'"{hashlib.blake2b(content, digest_size=12).hexdigest()}"', media_type)
    return found


def _answer(request: Request, file: File) -> Response:
    headers = {**HEADERS, "ETag": file.etag}
    known = request.headers.get("if-none-match", "")
    if file.etag in (tag.strip().removeprefix("W/") for tag in known.split(",")):
        return Response(status_code=304, headers=headers)
    return Response(file.content, 200, headers, file.media_type)
