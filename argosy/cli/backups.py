"""`argosy backup`, `argosy backups …` and `argosy restore`: a whole installation, in a folder."""

import asyncio
import uuid
from pathlib import Path
from typing import Annotated, Any

import typer

from argosy.cli.gateway_call import show
from argosy.cli.options import dsn_of, load_settings
from argosy.clock import SystemClock
from argosy.errors import SettingError

app = typer.Typer(help="Which backups there are, as far as anybody has said.", no_args_is_help=True)

AtOnce = Annotated[int, typer.Option(min=1, max=64, help="Graphs that are copied at the same time.")]
WithoutKeys = Annotated[bool, typer.Option("--without-keys", help="Without the keys that open sealed payloads.")]
Timeout = Annotated[float, typer.Option(min=1, help="Seconds that one graph may take.")]


def backup(
    folder: Annotated[Path, typer.Argument(help="A new folder.", file_okay=False)],
    at_once: AtOnce = 2,
    rate: Annotated[int, typer.Option(min=1_048_576, help="Bytes of graphs a second.")] = 104_857_600,
    timeout: Timeout = 3_600.0,
    keys: Annotated[
        Path | None,
        typer.Option(
            help="A file for the keys of tenants, kept elsewhere. An older one is replaced, if it has no others.",
            dir_okay=False,
        ),
    ] = None,
    without_keys: WithoutKeys = False,
) -> None:
    """Write the database and all graphs to a folder, while everything works."""
    from argosy.backup.pace import Throttle
    from argosy.backup.taking import Bounds, Taking
    from argosy.cli import graph_calls
    from argosy.store.migrate import pending

    settings, clock = load_settings(), SystemClock()
    dsn = _dsn()
    if asyncio.run(pending(dsn)):
        raise SettingError(
            "the database is of an earlier version: back up with that one, or run `argosy migrate` first"
        )
    bounds = Bounds(at_once, timeout, settings.trim_lag_s)

    async def take(opened: graph_calls.Opened) -> dict[str, Any]:
        taking = Taking(opened.directory, opened.members, clock, Throttle(clock, rate), bounds)
        manifest = await taking.take(dsn, folder, keys, is_without=without_keys)
        return {
            "backup_id": str(manifest.backup_id),
            "folder": str(folder.resolve()),
            "made_at": manifest.made_at.isoformat(),
            "readable_until": manifest.readable_until.isoformat(),
            "graphs": len(manifest.graphs),
            "missing": len(manifest.missing),
            "keys": manifest.where_keys_are,
            "size_bytes": sum(each.size_bytes for each in manifest.files()),
        }

    show(graph_calls.run(settings, dsn, take))


@app.command("list")
def list_known(limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at the most.")] = 100) -> None:
    """Show the backups that receipts of `argosy forget` name, the newest first."""
    from argosy.store.backup import list_backups

    dsn = _dsn()
    found = asyncio.run(list_backups(dsn, limit))
    show([{**each._asdict(), "backup_id": str(each.backup_id), "made_at": each.made_at.isoformat()} for each in found])


@app.command()
def gone(backup_id: Annotated[uuid.UUID, typer.Argument(help="As `argosy backups list` shows it.")]) -> None:
    """Say that a backup was deleted: no receipt names it any more. It deletes nothing itself."""
    from argosy.store.backup import note_gone

    if not asyncio.run(note_gone(_dsn(), backup_id)):
        raise SettingError(f"there is no backup {backup_id}: `argosy backups list` shows those that are known")


def _dsn() -> str:
    from argosy.cli import graph_calls

    settings = load_settings()
    return graph_calls.running_dsn(settings) or dsn_of(settings)


def restore(
    folder: Annotated[Path, typer.Argument(help="What `argosy backup` wrote.", exists=True, file_okay=False)],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before.")] = False,
    at_once: AtOnce = 2,
    timeout: Timeout = 3_600.0,
    keep_tokens: Annotated[
        bool,
        typer.Option("--keep-tokens", help="Leave tokens in force; those revoked since the backup are, too, then."),
    ] = False,
    keys: Annotated[
        Path | None,
        typer.Option(help="The newest file of keys of tenants.", exists=True, dir_okay=False),
    ] = None,
    without_keys: WithoutKeys = False,
) -> None:
    """Restore a backup to an empty database and to shards without graphs. One that was ended goes on."""
    from argosy.backup.keys import by_tenant, choose_keys, read_keys
    from argosy.backup.restoring import Restoring
    from argosy.local.new_installation import new_installation

    settings = load_settings()

    async def restored() -> dict[str, Any]:
        restoring = Restoring(folder, at_once=at_once, graph_s=timeout, keep_tokens=keep_tokens)
        await restoring.check()
        chosen = choose_keys(restoring.manifest, None if keys is None else read_keys(keys), is_without=without_keys)
        lost = by_tenant(chosen.lost)
        for tenant, numbers in lost.items():
            typer.echo(f"what keys {', '.join(map(str, numbers))} of tenant {tenant} sealed cannot be read", err=True)
        if not yes:
            typer.confirm(_QUESTION.format(restoring.manifest.made_at), abort=True, err=True)
        async with new_installation(settings) as place:
            graphs = await restoring.restore(place.dsn, place.connect, place.shards, chosen)
        return {"backup_id": str(restoring.manifest.backup_id), "graphs": graphs, "lost_keys": lost}

    show(asyncio.run(restored()))
    typer.echo(
        "restored: start the workers. They read the log on from where the backup was, as far as it still has that; "
        "signals, cancels and resumes that were given since are gone: give them again"
        + ("" if keep_tokens else ". All tokens are revoked: `argosy tokens create --admin` makes a first one"),
        err=True,
    )


_QUESTION = "All workers of the installation are stopped, and it is to be as it was at {:%Y-%m-%d %H:%M:%S} UTC. Go on"
