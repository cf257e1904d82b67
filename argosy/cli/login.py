"""`argosy login`, `logout` and `whoami`: the token that commands send to a gateway."""

import sys
from typing import Final

import typer

from argosy.cli.gateway_call import call, show
from argosy.cli.options import URL, Url
from argosy.errors import SettingError

_TOKEN_LENGTH_MAX: Final = 8_192


def login(url: Url = URL) -> None:
    """Store a token for a gateway, after asking that gateway whose it is. It is typed, or comes from stdin: a command
    line is seen by everybody on the machine.
    """
    from argosy import config
    from argosy.cli.credentials import stored
    from argosy.client import Client

    is_typed = sys.stdin.isatty()
    token = typer.prompt("Token", hide_input=True, err=True) if is_typed else sys.stdin.readline(_TOKEN_LENGTH_MAX)
    token = token.strip()
    if not token:
        raise SettingError("there is no token on stdin: `argosy login < file`")
    allow_http = config.load(used={"argosy_token_allow_http"}).argosy_token_allow_http
    with Client(url, token=token, allow_http=allow_http, retry_s=0) as client:
        principal = client.request("GET", "/v1/whoami")
    stored().store(url, token)
    show(principal)


def logout(url: Url = URL) -> None:
    """Forget the stored token for a gateway. It stays valid: `argosy tokens revoke` ends it."""
    from argosy.cli.credentials import stored

    if not stored().forget(url):
        raise SettingError(f"no token is stored for {url}")
    typer.echo(f"the token for {url} is forgotten here; it stays valid until it expires or is revoked")


def whoami(url: Url = URL) -> None:
    """Show who a gateway takes this command for: tenant, role, scopes, expiry."""
    call("GET", url, "/v1/whoami")
