"""`argosy tenants …`: tenants, through a gateway."""

import json
import sys
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from argosy.cli.forget import until_done
from argosy.cli.gateway_call import ask, call, segment, show
from argosy.cli.options import URL, Cursor, Limit, Url
from argosy.errors import SettingError

Rate = Annotated[float | None, typer.Option(min=0, help="Requests a second.")]
Burst = Annotated[float | None, typer.Option(min=0, help="Requests at once.")]

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


@app.command()
def limits(
    name: str,
    turns_per_s: Rate = None,
    turns_burst: Burst = None,
    signals_per_s: Rate = None,
    signals_burst: Burst = None,
    graph_calls_per_s: Rate = None,
    graph_calls_burst: Burst = None,
    streams: Annotated[int | None, typer.Option(min=1, help="Streams and waits open at once.")] = None,
    default: Annotated[
        list[str] | None,
        typer.Option(
            help="What is to be as the settings of the gateways say again, as `turns_per_s`. May be repeated."
        ),
    ] = None,
    url: Url = URL,
) -> None:
    """Give a tenant limits of its own, which hold for all gateways together; others stay as they are. A rate of 0 is no
    limit, a burst of 0 twice the rate.
    """
    given = {
        "turns_per_s": turns_per_s,
        "turns_burst": turns_burst,
        "signals_per_s": signals_per_s,
        "signals_burst": signals_burst,
        "graph_calls_per_s": graph_calls_per_s,
        "graph_calls_burst": graph_calls_burst,
        "streams": streams,
    }
    change = {name: value for name, value in given.items() if value is not None}
    _change(name, {"limits": change | dict.fromkeys(default or ())}, url)


@app.command()
def delete(
    name: str,
    again: Annotated[str | None, typer.Option(help="The name again, instead of being asked for it.")] = None,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait until everything is erased.")] = 3_600,
    url: Url = URL,
) -> None:
    """Delete a tenant with all that it has: nobody is let in for it any more, and what it has is erased."""
    if again is None:
        again = typer.prompt(f"All of tenant {name!r} will be gone, and nothing brings it back. Its name again")
    if again != name:
        raise SettingError(f"{again!r} is not {name!r}: nothing is deleted")
    answer, is_success = ask("DELETE", url, f"/v1/tenants/{segment(name)}?{urlencode({'confirm': name})}")
    if is_success and wait:
        answer, is_success = until_done(answer, wait, {}, url)
    show(answer)
    sys.exit(0 if is_success else 1)


def _set(name: str, state: str, url: str) -> None:
    _change(name, {"state": state}, url)


def _change(name: str, change: dict[str, Any], url: str) -> None:
    call("PATCH", url, f"/v1/tenants/{segment(name)}", content=json.dumps(change).encode())
