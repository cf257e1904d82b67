"""The command line: every process of Argosy starts here."""

import asyncio
import sys
import uuid
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlencode

import typer

from argosy import config, telemetry
from argosy.config import Settings
from argosy.errors import SettingError
from argosy.gateway_call import ask, call, json_of, segment, show
from argosy.process.ending import leave
from argosy.terminal import run_command

app = typer.Typer(
    help="Durable execution for agent sessions.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
worker_app = typer.Typer(help="Worker processes.", no_args_is_help=True)
turn_app = typer.Typer(help="Turns, through a gateway.", no_args_is_help=True)
app.add_typer(worker_app, name="worker")
app.add_typer(turn_app, name="turn")


ParentFd = Annotated[int | None, typer.Option(hidden=True, help="End when this pipe closes.")]
Url = Annotated[str, typer.Option("--url", help="The gateway.")]


# The settings that `argosy migrate` reads; a bad value of another setting must not stop it.
_MIGRATE: Final = frozenset({"state_db_uri", "heartbeat_ttl_s", "heartbeat_interval_s", "log_level", "log_format"})


def main() -> None:
    """Run the command line. An error in settings, or in what they name, is one line on stderr and exit code 1."""
    sys.exit(run_command(app))


def _settings(used: frozenset[str] | None = None, **overrides: Any) -> Settings:
    settings = config.load(used=used, **overrides)
    telemetry.set_up_logging(settings.log_level, settings.log_format)
    if unused := config.names_without_use():
        telemetry.logger().info(telemetry.SETTINGS_WITHOUT_USE, names=", ".join(unused))
    return settings


def _dsn(settings: Settings) -> str:
    if not settings.state_db_uri:
        raise SettingError("STATE_DB_URI is not set: name your Postgres, or use `argosy up`, which brings one")
    return settings.state_db_uri


@app.command()
def up(
    workflows: Annotated[
        list[str] | None, typer.Option(help="A file or module with workflows; may be repeated.")
    ] = None,
    demo: Annotated[
        Path | None, typer.Option(help="Post the turns of this file, one JSON object a line, and show what happens.")
    ] = None,
    once: Annotated[
        bool, typer.Option(help="End after the demonstration; exit code 1 when a turn of it did not complete.")
    ] = False,
    host: Annotated[str | None, typer.Option(help="Address to bind.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to bind.")] = None,
    parent_fd: ParentFd = None,
) -> None:
    """Run everything on this machine, in one process tree: Postgres (unless STATE_DB_URI names one), a gateway, a
    worker and maintenance.
    """
    from argosy.embedded import Tree

    settings = _settings(host=host, port=port, argosy_workflows=tuple(workflows) if workflows else None)
    sys.exit(Tree(settings, demo=demo, is_once=once, parent_fd=parent_fd).run())


@app.command()
def gateway(parent_fd: ParentFd = None) -> None:
    """Run a gateway, which serves the REST API; with AGENT_DISPATCH_BACKEND=inline also a dispatch worker."""
    from argosy.gateway.main import run
    from argosy.inline_worker import inline_worker

    settings = _settings()
    _dsn(settings)
    with inline_worker(settings):
        code = run(settings, parent_fd)
    leave(code)


@app.command()
def maintain(parent_fd: ParentFd = None) -> None:
    """Run maintenance: stand for every role (trim, retention, horizon), and lead those that no other process leads."""
    from argosy.workers.maintenance.main import run

    settings = _settings()
    leave(run(settings, _dsn(settings), parent_fd))


@worker_app.command()
def dispatch(
    workflows: Annotated[
        list[str] | None, typer.Option(help="A file or module with workflows; may be repeated.")
    ] = None,
    strict: Annotated[
        bool, typer.Option(help="End when a workflow cannot be loaded, instead of running without taking part.")
    ] = False,
    parent_fd: ParentFd = None,
) -> None:
    """Run a dispatch worker, which runs turns of one lane."""
    from argosy.workers.dispatch.main import run

    settings = _settings(argosy_workflows=tuple(workflows) if workflows else None)
    leave(run(settings, _dsn(settings), parent_fd, is_strict=strict))


@app.command()
def check(
    workflows: Annotated[list[str], typer.Argument(help="Files or modules with workflows.", metavar="FILE|MODULE")],
    is_json: Annotated[bool, typer.Option("--json", help="One JSON object, for machines.")] = False,
) -> None:
    """Report code in workflows that would not replay. It reads the files and runs nothing of them. Exit code 1:
    something was found; 2: a file cannot be read, or there is no workflow.
    """
    from argosy.check.command import check_files

    sys.exit(check_files(workflows, is_json=is_json))


@app.command()
def migrate(
    check: Annotated[bool, typer.Option(help="Only list missing migrations; exit code 1 when there are any.")] = False,
    after_restore: Annotated[
        bool, typer.Option(help="The database was restored from a backup: raise its lineage. Stop the workers first.")
    ] = False,
) -> None:
    """Bring the database to this version's schema."""
    from argosy.store import migrate as migrations
    from argosy.store import preflight

    settings = _settings(_MIGRATE)
    dsn = _dsn(settings)
    if after_restore:
        asyncio.run(preflight.check(dsn))
        asyncio.run(migrations.after_restore(dsn, settings.heartbeat_ttl_s))
        typer.echo(
            "the lineage is raised: nothing that still comes from the lost history can change anything. Now start the "
            "workers: they read the log again from the positions of the backup, so every turn that was accepted since "
            "then and is still in the log runs; its steps may run again, under the same keys. "
            "Signals, cancels and resumes that were given since the backup are gone: give them again"
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


@app.command()
def fleet(
    once: Annotated[bool, typer.Option(help="Show them once, and end.")] = False,
    url: Url = "http://127.0.0.1:9000",
) -> None:
    """Show lanes and workers, drawn again each second, until Ctrl-C."""
    from argosy.fleet_table import show_fleet

    sys.exit(show_fleet(url, is_once=once))


@app.command()
def topics() -> None:
    """Create the lane's topic, or check its partitions, replicas and retention."""
    from argosy.logs.open import ensure, recovery

    settings = _settings()
    dsn = _dsn(settings) if settings.log_backend == "postgres" else settings.state_db_uri
    for warning in asyncio.run(ensure(settings, dsn)):
        typer.echo(f"warning: {warning}")
    typer.echo(f"{settings.topic} is there ({settings.log_backend}); {asyncio.run(recovery(settings, dsn)).words}")


@app.command()
def broker(
    nodes: Annotated[int, typer.Option(help="1, or 3 for a cluster that survives the loss of one.")] = 1,
    port: Annotated[int, typer.Option(help="Port of the first node.")] = 9092,
) -> None:
    """Run a real Kafka for development and tests, from Maven Central's jars, until Ctrl-C."""
    from argosy.embedded import serve_broker

    settings = _settings()
    sys.exit(serve_broker(settings, nodes, port))


@turn_app.command()
def submit(
    session: str,
    workflow: str,
    input: Annotated[str, typer.Argument(help="JSON.")] = "null",  # noqa: A002
    key: Annotated[str | None, typer.Option(help="Idempotency key: repeat with the same one after a failure.")] = None,
    wait: Annotated[int | None, typer.Option(help="Seconds to wait for the turn's end.")] = None,
    url: Url = "http://127.0.0.1:9000",
) -> None:
    """Post a turn to a session."""
    headers = {"content-type": "application/json"}
    if key:
        headers["idempotency-key"] = key
    if wait is not None:
        headers["prefer"] = f"wait={wait}"
    body = {"workflow": workflow, "input": json_of(input)}
    call("POST", url, f"/v1/sessions/{segment(session)}/turns", headers=headers, body=body, wait_s=wait or 0)


@turn_app.command()
def get(turn_id: str, url: Url = "http://127.0.0.1:9000") -> None:
    """Show a turn."""
    call("GET", url, f"/v1/turns/{segment(turn_id)}")


@turn_app.command()
def watch(
    turn_id: str,
    url: Annotated[
        list[str] | None, typer.Option(help="A gateway; may be repeated, for others to try when it does not answer.")
    ] = None,
) -> None:
    """Watch a turn to its end: its steps, and what they show while they run. Exit code 1: the turn did not complete;
    130: Ctrl-C came before its end.
    """
    from argosy.turn_watch import watch_turn

    sys.exit(watch_turn(url or ["http://127.0.0.1:9000"], turn_id))


@turn_app.command()
def cancel(turn_id: str, url: Url = "http://127.0.0.1:9000") -> None:
    """Cancel a turn."""
    call("POST", url, f"/v1/turns/{segment(turn_id)}/cancel")


@turn_app.command()
def resume(
    turn_id: Annotated[str | None, typer.Argument(help="One turn; or --all.")] = None,
    is_all: Annotated[bool, typer.Option("--all", help="All parked turns that match.")] = False,
    reason: Annotated[str | None, typer.Option(help="With --all: those that were parked for this reason.")] = None,
    workflow: Annotated[str | None, typer.Option(help="With --all: those of this workflow.")] = None,
    url: Url = "http://127.0.0.1:9000",
) -> None:
    """Let a parked turn, or many, run again."""
    if is_all == (turn_id is not None) or (turn_id is not None and (reason or workflow)):
        raise SettingError(
            "name one turn, or give --all for all parked turns; with --all, --reason and --workflow select some of them"
        )
    if turn_id is not None:
        call("POST", url, f"/v1/turns/{segment(turn_id)}/resume")
        return
    asked = {name: value for name, value in (("reason", reason), ("workflow", workflow)) if value}
    headers, resumed, has_more = {"idempotency-key": uuid.uuid4().hex}, 0, True
    while has_more:
        content, is_success = ask("POST", url, f"/v1/turns:resume?{urlencode(asked)}", headers=headers)
        if not is_success:
            show(content)
            sys.exit(1)
        resumed, has_more = resumed + content["resumed"], content["has_more"]
    show({"resumed": resumed})


@turn_app.command("signal")
def send_signal(
    turn_id: str,
    name: str,
    payload: Annotated[str, typer.Argument(help="JSON.")] = "null",
    key: Annotated[str | None, typer.Option(help="Idempotency key.")] = None,
    url: Url = "http://127.0.0.1:9000",
) -> None:
    """Send a signal to a turn."""
    headers = {"content-type": "application/json"} | ({"idempotency-key": key} if key else {})
    call("POST", url, f"/v1/turns/{segment(turn_id)}/signals/{segment(name)}", headers=headers, body=json_of(payload))
