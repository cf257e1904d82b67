"""The commands that make the database and the log ready."""

import asyncio
import sys
from collections.abc import Sequence
from typing import Annotated, Final

import typer

from argosy.cli.options import dsn_of, load_settings
from argosy.cli.reaching import reached
from argosy.config import Settings
from argosy.errors import UnavailableError
from argosy.printable import printable

_AWAY_CODE: Final = 75  # EX_TEMPFAIL of sysexits.h
# The settings that `argosy migrate` reads; a bad value of another setting must not stop it.
_MIGRATE: Final = frozenset({"state_db_uri", "heartbeat_ttl_s", "heartbeat_interval_s", "log_level", "log_format"})


GrantTo = Annotated[
    list[str] | None, typer.Option(help="Give this role of the database what gateways, workers and shards need.")
]
GrantMaintenanceTo = Annotated[
    list[str] | None, typer.Option(help="Give this role of the database what `argosy maintain` needs.")
]


def migrate(
    check: Annotated[bool, typer.Option(help="Only list missing migrations; exit code 1 when there are any.")] = False,
    after_restore: Annotated[
        bool, typer.Option(help="The database was restored from a backup: raise its lineage. Stop the workers first.")
    ] = False,
    keep_tokens: Annotated[
        bool,
        typer.Option(help="After a restore: leave tokens in force; those revoked since the backup are, too, then."),
    ] = False,
    grant_to: GrantTo = None,
    grant_maintenance_to: GrantMaintenanceTo = None,
) -> None:
    """Bring the database to this version's schema."""
    from argosy.store import migrate as migrations
    from argosy.store import preflight

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
    _warn(asyncio.run(preflight.check(dsn)))
    asyncio.run(_migrate(dsn, grant_to or (), grant_maintenance_to or ()))


def topics() -> None:
    """Create the topics of this lane and of ingest, or check their partitions, replicas and retention."""
    asyncio.run(_ensure_topics(load_settings()))


def setup(
    wait_s: Annotated[
        float | None,
        typer.Option(
            "--wait", min=0, max=86_400, help="Seconds to wait for each server at the most; without it, ARGOSY_READY_S."
        ),
    ] = None,
    grant_to: GrantTo = None,
    grant_maintenance_to: GrantMaintenanceTo = None,
) -> None:
    """Do what `argosy migrate` and then `argosy topics` do, as soon as their servers can be reached.

    It does nothing where nothing is missing, and any number of it may run at once. Exit code 75: a server was not there
    in time, and the same again may succeed; 1: it does not, until somebody changes something.
    """
    from argosy.store import preflight

    settings = load_settings()
    dsn = dsn_of(settings)
    within_s = settings.argosy_ready_s if wait_s is None else wait_s

    async def prepare() -> None:
        _warn(await reached(lambda: preflight.check(dsn), within_s, "Postgres (STATE_DB_URI)"))
        await _migrate(dsn, grant_to or (), grant_maintenance_to or ())
        await reached(lambda: _ensure_topics(settings), within_s, log)

    brokers = settings.kafka_bootstrap_servers
    log = f"Kafka (KAFKA_BOOTSTRAP_SERVERS={brokers})" if settings.log_backend == "kafka" else "the log (STATE_DB_URI)"
    try:
        asyncio.run(prepare())
    except UnavailableError as error:
        typer.echo(printable(f"argosy: {error}"), err=True)
        sys.exit(_AWAY_CODE)


async def _migrate(dsn: str, fleet_roles: Sequence[str], maintenance_roles: Sequence[str]) -> None:
    from argosy.store import grants
    from argosy.store import migrate as migrations

    applied = await migrations.migrate(dsn)
    typer.echo("\n".join(f"applied: {name}" for name in applied) or "nothing was missing")
    for role in fleet_roles:
        await grants.grant(dsn, role)
        typer.echo(f"granted to {role}: what the fleet needs")
    for role in maintenance_roles:
        await grants.grant(dsn, role, is_of_maintenance=True)
        typer.echo(f"granted to {role}: what the fleet and argosy maintain need")


async def _ensure_topics(settings: Settings) -> None:
    from argosy.logs.open import ensure, recovery
    from argosy.logs.topic import turns_topic

    dsn = dsn_of(settings) if settings.log_backend == "postgres" else settings.state_db_uri
    _warn(await ensure(settings, dsn))
    words = (await recovery(settings, dsn, turns_topic(settings))).words
    typer.echo(f"{settings.topic} and {settings.ingest_topic} are there ({settings.log_backend}); {words}")


def _warn(warnings: Sequence[str]) -> None:
    for warning in warnings:
        typer.echo(f"warning: {warning}")
