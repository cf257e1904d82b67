"""The commands that make the database and the log ready."""

import asyncio
import sys
from typing import Annotated, Final

import typer

from argosy.cli.options import dsn_of, load_settings

# The settings that `argosy migrate` reads; a bad value of another setting must not stop it.
_MIGRATE: Final = frozenset({"state_db_uri", "heartbeat_ttl_s", "heartbeat_interval_s", "log_level", "log_format"})


def migrate(
    check: Annotated[bool, typer.Option(help="Only list missing migrations; exit code 1 when there are any.")] = False,
    after_restore: Annotated[
        bool, typer.Option(help="The database was restored from a backup: raise its lineage. Stop the workers first.")
    ] = False,
    keep_tokens: Annotated[
        bool,
        typer.Option(help="After a restore: leave tokens in force; those revoked since the backup are, too, then."),
    ] = False,
    grant_to: Annotated[
        list[str] | None, typer.Option(help="Give this role of the database what gateways, workers and shards need.")
    ] = None,
    grant_maintenance_to: Annotated[
        list[str] | None, typer.Option(help="Give this role of the database what `argosy maintain` needs.")
    ] = None,
) -> None:
    """Bring the database to this version's schema."""
    from argosy.store import grants, preflight
    from argosy.store import migrate as migrations

    settings = load_settings(_MIGRATE)
    dsn = dsn_of(settings)
    if after_restore:
        asyncio.run(preflight.check(dsn))
        revoked = asyncio.run(migrations.after_restore(dsn, settings.heartbeat_ttl_s, keep_tokens=keep_tokens))
        typer.echo(
            "the lineage is raised: nothing that still comes from the lost history can change anything. Now start the "
            "workers: they read the log again from the positions of the backup, so every turn that was accepted since "
            "then and is still in the log runs; its steps may run again, under the same keys. "
            "Signals, cancels and resumes that were given since the backup are gone: give them again"
            + (f". {revoked} token(s) were revoked: the backup does not know which ones were before" if revoked else "")
        )
        return
    if check:
        missing = asyncio.run(migrations.pending(dsn))
        typer.echo("\n".join(f"missing: {name}" for name in missing) or "nothing is missing")
        sys.exit(1 if missing else 0)
    for warning in asyncio.run(preflight.check(dsn)):
        typer.echo(f"warning: {warning}")
    applied = asyncio.run(migrations.migrate(dsn))
    typer.echo("\n".join(f"applied: {name}" for name in applied) or "nothing was missing")
    for role in grant_to or ():
        asyncio.run(grants.grant(dsn, role))
        typer.echo(f"granted to {role}: what the fleet needs")
    for role in grant_maintenance_to or ():
        asyncio.run(grants.grant(dsn, role, is_of_maintenance=True))
        typer.echo(f"granted to {role}: what the fleet and argosy maintain need")


def topics() -> None:
    """Create the topics of this lane and of ingest, or check their partitions, replicas and retention."""
    from argosy.logs.open import ensure, recovery
    from argosy.logs.topic import turns_topic

    settings = load_settings()
    dsn = dsn_of(settings) if settings.log_backend == "postgres" else settings.state_db_uri
    for warning in asyncio.run(ensure(settings, dsn)):
        typer.echo(f"warning: {warning}")
    words = asyncio.run(recovery(settings, dsn, turns_topic(settings))).words
    typer.echo(f"{settings.topic} and {settings.ingest_topic} are there ({settings.log_backend}); {words}")
