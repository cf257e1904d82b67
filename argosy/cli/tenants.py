"""`argosy tenants …`: tenants, through a gateway."""

import json
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from argosy.cli.gateway_call import call, segment
from argosy.cli.options import URL, Cursor, Limit, Url

app = typer.Typer(help="Tenants, through a gateway; for administrators.", no_args_is_help=True)


@app.command("list")
def list_tenants(limit: Limit = 50, cursor: Cursor = "", url: Url = URL) -> None:
    """Show tenants and their states."""
    asked: dict[str, Any] = {"limit": limit} | ({"cursor": cursor} if cursor else {})
    call("GET", url, f"/v1/tenants?{urlencode(asked)}")


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Letters, digits, dots, underscores and dashes.")], url: Url = URL
) -> None:
    """Make a tenant."""
    call("POST", url, "/v1/tenants", content=json.dumps({"name": name}).encode())


@app.command()
def suspend(name: str, url: Url = URL) -> None:
    """Let a tenant change nothing more: its tokens read only. Turns that it has sent go on."""
    _set(name, "suspended", url)


@app.command()
def activate(name: str, url: Url = URL) -> None:
    """Let a suspended tenant go on."""
    _set(name, "active", url)


def _set(name: str, state: str, url: str) -> None:
    call("PATCH", url, f"/v1/tenants/{segment(name)}", content=json.dumps({"state": state}).encode())
