"""Single calls of the command line to a gateway, through the client library, and printing their answers."""

import json
import sys
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import typer

from argosy.errors import SettingError
from argosy.printable import printable

_ANSWER_S: Final = 90.0  # longer than GATEWAY_BODY_TIMEOUT_S and LOG_APPEND_TIMEOUT_S (60 and 15 s): a batch takes both


def call(
    method: str,
    url: str,
    path: str,
    *,
    key: str | None = None,
    headers: Mapping[str, str] | None = None,
    content: bytes = b"",
    wait_s: int = 0,
) -> None:
    """Call a gateway, print its answer and exit: with code 0 when the call succeeded, else 1. Raises SettingError when
    no gateway answers at url.
    """
    answer, is_success = ask(method, url, path, key=key, headers=headers, content=content, wait_s=wait_s)
    show(answer)
    sys.exit(0 if is_success else 1)


def show(answer: Any) -> None:
    typer.echo(printable(json.dumps(answer, indent=2, ensure_ascii=False)))


def ask(
    method: str,
    url: str,
    path: str,
    *,
    key: str | None = None,
    headers: Mapping[str, str] | None = None,
    content: bytes = b"",
    wait_s: int = 0,
) -> tuple[Any, bool]:
    """Call a gateway once; return the JSON of its answer, and whether the call succeeded. Raises SettingError when no
    gateway answers at url.
    """
    from argosy.cli.credentials import open_client
    from argosy.client import GatewayUnreachableError, ProblemError, UnauthenticatedError
    from argosy.client.errors import NOT_A_GATEWAY

    try:
        with open_client(url, retry_s=0) as client:
            answer_s = _ANSWER_S + wait_s
            return client.request(method, path, content=content, key=key, headers=headers, answer_s=answer_s), True
    except GatewayUnreachableError as error:
        raise SettingError(f"no gateway answers at {url}: {error.__cause__}") from error
    except ProblemError as error:
        if error.kind == NOT_A_GATEWAY:
            raise SettingError(f"what answers at {url} is no gateway of Argosy: {error.status}") from error
        if isinstance(error, UnauthenticatedError):
            typer.echo(printable(_advice(error.kind, url)), err=True)
        return error.problem, False


def _advice(kind: str, url: str) -> str:
    if kind == "unauthenticated":
        return f"argosy: who asks has to say so: `argosy login --url {url}`, or ARGOSY_TOKEN"
    return f"argosy: the token is not taken: `argosy login --url {url}` stores another one, `argosy logout` forgets it"


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
