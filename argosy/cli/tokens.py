"""`argosy tokens …`: API tokens, through a gateway; the first one for administrators directly in Postgres."""

import asyncio
import json
import sys
from typing import Annotated, Any, Final
from urllib.parse import urlencode

import typer

from argosy.cli.gateway_call import ask, call, segment, show
from argosy.cli.options import URL, Cursor, Limit, Url, dsn_of, load_settings
from argosy.errors import SettingError
from argosy.identity.scopes import Role

app = typer.Typer(help="API tokens, through a gateway.", no_args_is_help=True)

_DAY_S: Final = 86_400

Tenant = Annotated[str, typer.Option(help="Whose it is; for those who may act as other tenants. Empty: one's own.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is for: lists show it.")],
    role: Annotated[Role | None, typer.Option(help="What it may do.")] = None,
    scope: Annotated[list[str] | None, typer.Option(help="A right, instead of a role; may be repeated.")] = None,
    session: Annotated[
        list[str] | None, typer.Option(help="Only this session, or those that begin so: 'support-*'. May be repeated.")
    ] = None,
    workflow: Annotated[
        list[str] | None, typer.Option(help="Only turns of this workflow, or of those that begin so. May be repeated.")
    ] = None,
    days: Annotated[float | None, typer.Option(min=0.001, help="It expires after this.")] = None,
    tenant: Tenant = "",
    admin: Annotated[
        bool,
        typer.Option(
            "--admin",
            help="Make one for an administrator, in the database itself (STATE_DB_URI, or that of `argosy up`): the "
            "way in, and the way back in. It expires only with --days.",
        ),
    ] = False,
    url: Url = URL,
) -> None:
    """Make a token, and print it: this is the only time that it can be seen."""
    if not admin:
        limits = {"role": role, "scopes": scope, "sessions": session, "workflows": workflow}
        made: dict[str, Any] = {"name": name} | {key: value for key, value in limits.items() if value}
        made |= {} if days is None else {"lifetime_s": days * _DAY_S}
        call("POST", url, "/v1/tokens", headers=_headers(tenant), content=json.dumps(made).encode())
    if role or scope or session or workflow or tenant:
        raise SettingError("--admin is a role of its own, of no tenant: it goes with --days alone")
    typer.echo(asyncio.run(_administrator(name, None if days is None else days * _DAY_S)))


@app.command("list")
def list_tokens(limit: Limit = 50, cursor: Cursor = "", tenant: Tenant = "", url: Url = URL) -> None:
    """Show tokens: who made them, what they may do, when they were last used. Never the tokens themselves."""
    asked: dict[str, Any] = {"limit": limit} | ({"cursor": cursor} if cursor else {})
    call("GET", url, f"/v1/tokens?{urlencode(asked)}", headers=_headers(tenant))


@app.command()
def revoke(token_id: str, tenant: Tenant = "", url: Url = URL) -> None:
    """End a token: within seconds no gateway takes it, and its streams end."""
    answer, is_success = ask("DELETE", url, f"/v1/tokens/{segment(token_id)}", headers=_headers(tenant))
    show({"revoked": token_id} if is_success else answer)
    sys.exit(0 if is_success else 1)


@app.command("revoke-subject")
def revoke_subject(
    subject: Annotated[str, typer.Argument(help="Whom an issuer means: `sub` of an access token.")],
    issuer: Annotated[str, typer.Option(help="Whose subject it is; needed where gateways trust several.")] = "",
    url: Url = URL,
) -> None:
    """End all access tokens that a subject of an issuer has by now; for administrators."""
    content = json.dumps({"issuer": issuer} if issuer else {}).encode()
    call("POST", url, f"/v1/subjects/{segment(subject)}/revoke", content=content)


@app.command()
def rotate(
    token_id: str,
    overlap: Annotated[float, typer.Option(min=0, help="Hours for which the old one is still taken.")] = 24.0,
    tenant: Tenant = "",
    url: Url = URL,
) -> None:
    """Make a successor with the same rights, and print it; the old one ends after --overlap."""
    content = json.dumps({"overlap_s": overlap * 3_600}).encode()
    call("POST", url, f"/v1/tokens/{segment(token_id)}/rotate", headers=_headers(tenant), content=content)


async def _administrator(name: str, lifetime_s: float | None) -> str:
    from argosy.cli.graph_calls import running_dsn
    from argosy.local.admin_token import make_admin_token
    from argosy.store.pool import open_pool

    settings = load_settings()
    async with open_pool(settings, running_dsn(settings) or dsn_of(settings)) as pool:
        return await make_admin_token(pool, name, "argosy tokens create --admin", lifetime_s)


def _headers(tenant: str) -> dict[str, str]:
    return {"x-argosy-tenant": tenant} if tenant else {}
