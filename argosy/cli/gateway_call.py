"""Single calls of the command line to a gateway, and printing their answers."""

import json
import sys
from typing import Any, Final
from urllib.parse import quote

import typer

from argosy.errors import SettingError
from argosy.printable import printable

_ANSWER_S: Final = 90.0


def call(
    method: str, url: str, path: str, *, headers: dict[str, str] | None = None, body: Any = None, wait_s: int = 0
) -> None:
    """Call a gateway, print its answer and exit: with code 0 when the call succeeded, else 1. Raises SettingError when
    no gateway answers at url.
    """
    content, is_success = ask(method, url, path, headers=headers, body=body, wait_s=wait_s)
    show(content)
    sys.exit(0 if is_success else 1)


def show(content: Any) -> None:
    typer.echo(printable(json.dumps(content, indent=2, ensure_ascii=False)))


def ask(
    method: str, url: str, path: str, *, headers: dict[str, str] | None = None, body: Any = None, wait_s: int = 0
) -> tuple[Any, bool]:
    """Call a gateway; return the JSON of its answer, and whether the call succeeded. Raises SettingError when no
    gateway answers at url.
    """
    import httpx2

    try:
        with httpx2.Client(base_url=url, timeout=_ANSWER_S + wait_s, trust_env=False) as client:
            answer = client.request(method, path, headers=headers, content=None if body is None else json.dumps(body))
    except httpx2.HTTPError as error:
        raise SettingError(f"no gateway answers at {url}: {error}") from error
    try:
        content = answer.json()
    except ValueError as error:
        raise SettingError(f"what answers at {url} is no gateway of Argosy: {answer.status_code}") from error
    return content, bool(answer.is_success)


def segment(text: str) -> str:
    """Return an id or a name encoded as one segment of a URL's path. Raises SettingError when that is impossible."""
    if text in {"", ".", ".."}:
        raise SettingError(f"{text!r} is neither an id nor a name: no address can hold it")
    return quote(text, safe="", errors="surrogateescape")


def json_of(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise SettingError(f"{text!r} is not JSON: {error}") from error
