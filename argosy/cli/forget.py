"""`argosy forget …`: sessions, turns, graphs and a whole tenant, through a gateway."""

import asyncio
import json
import sys
import uuid
from typing import Annotated, Any, Final
from urllib.parse import urlencode

import typer

from argosy.cli.gateway_call import ask, call, segment, show
from argosy.cli.options import URL, Url
from argosy.clock import SystemClock
from argosy.errors import SettingError
from argosy.printable import printable

app = typer.Typer(help="Forget, everywhere and for good; through a gateway.", no_args_is_help=True)

_LOOK_S: Final = 0.5  # how soon one that waits sees that it is done

Again = Annotated[str | None, typer.Option(help="The name again, instead of being asked for it.")]
Tenant = Annotated[str, typer.Option(help="Whose it is, where gateways take that from whoever asks.")]
Wait = Annotated[float, typer.Option(min=0, help="Seconds to wait until it is done.")]
Key = Annotated[str | None, typer.Option(help="Idempotency key: repeat with the same one after a failure.")]


@app.command()
def session(
    name: str, again: Again = None, tenant: Tenant = "", wait: Wait = 0, key: Key = None, url: Url = URL
) -> None:
    """Forget a session: its turns, what they wrote last into graphs, and its own graph."""
    _forget("session", name, again, tenant, wait, key, url)


@app.command()
def turn(
    turn_id: str, again: Again = None, tenant: Tenant = "", wait: Wait = 0, key: Key = None, url: Url = URL
) -> None:
    """Forget a turn, and what it wrote last into graphs."""
    _forget("turn", turn_id, again, tenant, wait, key, url)


@app.command()
def graph(name: str, again: Again = None, tenant: Tenant = "", wait: Wait = 0, key: Key = None, url: Url = URL) -> None:
    """Forget a graph, and what was uploaded into it."""
    _forget("graph", name, again, tenant, wait, key, url)


@app.command("tenant")
def whole_tenant(name: str, again: Again = None, wait: Wait = 0, key: Key = None, url: Url = URL) -> None:
    """Forget everything of a tenant."""
    _forget("tenant", name, again, name, wait, key, url)


@app.command("list")
def list_erasures(
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many at the most.")] = 50,
    tenant: Tenant = "",
    url: Url = URL,
) -> None:
    """Show what was asked to be forgotten, the newest first, with receipts."""
    call("GET", url, f"/v1/erasures?{urlencode({'limit': limit})}", headers=_headers(tenant))


@app.command()
def receipt(erasure_id: str, tenant: Tenant = "", url: Url = URL) -> None:
    """Show how far it is, and what was removed where."""
    call("GET", url, f"/v1/erasures/{segment(erasure_id)}", headers=_headers(tenant))


def _forget(kind: str, target: str, again: str | None, tenant: str, wait_s: float, key: str | None, url: str) -> None:
    if again is None:
        again = typer.prompt(f"All of {kind} {target!r} will be gone, and nothing brings it back. Its name again")
    if again != target:
        raise SettingError(f"{again!r} is not {target!r}: nothing is forgotten")
    posted = {"kind": kind, "confirm": target} | ({} if kind == "tenant" else {"target": target})
    headers = _headers(tenant)
    key = key or uuid.uuid4().hex
    content = json.dumps(posted).encode()
    answer, is_success = ask("POST", url, "/v1/erasures", key=key, headers=headers, content=content)
    if is_success and wait_s:
        answer, is_success = until_done(answer, wait_s, headers, url)
    show(answer)
    sys.exit(0 if is_success else 1)


def until_done(answer: Any, wait_s: float, headers: dict[str, str], url: str) -> tuple[Any, bool]:
    """Wait until an erasure is done; return what it came to, and whether it is done. What it waits for is said."""
    clock = SystemClock()
    until_s = clock.monotonic_s() + wait_s
    is_success, said = True, ""
    while is_success and answer["status"] != "done":
        if answer["waits_for"] not in ("", said):
            said = answer["waits_for"]
            since = answer.get("waits_since")
            typer.echo(printable(f"waits: {said}" + (f" (since {since})" if since else "")), err=True)
        if clock.monotonic_s() > until_s:
            return answer, False
        asyncio.run(clock.sleep(_LOOK_S))
        answer, is_success = ask("GET", url, answer["links"]["self"], headers=headers)
    return answer, is_success


def _headers(tenant: str) -> dict[str, str]:
    return {"x-argosy-tenant": tenant} if tenant else {}
