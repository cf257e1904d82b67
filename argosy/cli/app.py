"""The commands of `argosy`, in the order in which its help lists them."""

import typer

from argosy.cli import (
    audit,
    backups,
    fleet,
    forget,
    graphs,
    ingest,
    keys,
    login,
    processes,
    shards,
    stores,
    support,
    tenants,
    tokens,
    turns,
    workflows,
)

app = typer.Typer(
    help="Durable execution for agent sessions.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
worker_app = typer.Typer(help="Worker processes.", no_args_is_help=True)
app.add_typer(worker_app, name="worker")
app.add_typer(turns.app, name="turn")
app.add_typer(graphs.app, name="graph")
for graph_command in (ingest.ingest, ingest.jobs, ingest.job, ingest.cancel_ingest):
    graphs.app.command()(graph_command)
app.add_typer(shards.app, name="shards")
app.add_typer(forget.app, name="forget")
app.add_typer(backups.app, name="backups")
app.add_typer(tokens.app, name="tokens")
app.add_typer(tenants.app, name="tenants")
app.add_typer(keys.app, name="keys")

for command in (
    processes.up,
    processes.gateway,
    processes.maintain,
    processes.shard,
    workflows.check,
    stores.migrate,
    stores.setup,
    fleet.fleet,
    login.login,
    login.logout,
    login.whoami,
    audit.audit,
    stores.topics,
    backups.backup,
    backups.restore,
    support.support_bundle,
    processes.broker,
):
    app.command()(command)
worker_app.command()(processes.dispatch)
worker_app.command()(processes.ingest)
