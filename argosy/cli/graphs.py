"""`argosy graph …`: graphs, asked directly at their shards (graph_calls.py). That needs what other processes need:
STATE_DB_URI or the data folder of `argosy up`, and the secret of the fleet.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from argosy.cli.gateway_call import json_of, show
from argosy.cli.options import dsn_of, load_settings
from argosy.errors import SettingError

app = typer.Typer(help="Graphs, asked at their shards.", no_args_is_help=True)

Tenant = Annotated[str, typer.Option(help="Whose graph it is.")]
Timeout = Annotated[float, typer.Option(min=0.001, help="Seconds that it may take.")]
TENANT = "default"


@app.command("list")
def list_graphs(
    tenant: Tenant = TENANT,
    after: Annotated[str, typer.Option(help="Begin behind this name.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at the most.")] = 200,
) -> None:
    """Show a tenant's graphs, in the order of their names."""
    from argosy.cli import graph_calls

    show(_run(lambda opened: graph_calls.graphs(opened, tenant, after, limit)))


@app.command()
def stats(graph: str, tenant: Tenant = TENANT) -> None:
    """Show where a graph is, and how large."""
    from argosy.cli import graph_calls

    show(_run(lambda opened: graph_calls.stats(opened, tenant, graph)))


@app.command()
def query(
    graph: str,
    cypher: str,
    params: Annotated[str, typer.Option(help="A JSON object.")] = "{}",
    limit: Annotated[int, typer.Option(min=1, help="Rows at the most.")] = 1_000,
    tenant: Tenant = TENANT,
    timeout: Timeout = 30.0,
) -> None:
    """Ask a graph in Cypher. It reads only."""
    given = json_of(params)
    if not isinstance(given, dict):
        raise SettingError("--params is a JSON object")

    from argosy.cli import graph_calls

    asked = graph_calls.Query(cypher, given, limit, timeout)
    show(_run(lambda opened: graph_calls.query(opened, tenant, graph, asked)))


@app.command()
def acl(
    graph: str,
    to: Annotated[
        str | None,
        typer.Option("--set", help='A list, as JSON: {"read": ["*"], "write": ["role:user"]}.'),
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Remove the list.")] = False,
    tenant: Tenant = TENANT,
) -> None:
    """Show who may read, write and administer a graph, or say who may. It is enforced with KG_BRAIN_ENFORCE=1."""
    from argosy.cli import graph_calls

    if to is not None and clear:
        raise SettingError("--set and --clear contradict each other")
    if to is None and not clear:
        show(_run(lambda opened: graph_calls.show_acl(opened, tenant, graph)))
        return
    show(_run(lambda opened: graph_calls.set_acl(opened, tenant, graph, to or "")))


@app.command()
def export(
    graph: str,
    output: Annotated[Path | None, typer.Option(help="A file; without one the copy is printed.")] = None,
    native: Annotated[
        bool, typer.Option("--native", help="As its shard has it: many times as fast, and for shards alone to read.")
    ] = False,
    tenant: Tenant = TENANT,
    timeout: Timeout = 3_600.0,
) -> None:
    """Write a consistent copy of a graph, as lines of JSON or as a native snapshot."""
    from argosy.cli import graph_calls

    wanted = graph_calls.Wanted(tenant, graph, output, native, timeout)
    _run(lambda opened: graph_calls.export(opened, wanted), reads_values=not native)


@app.command("import")
def restore(
    graph: str,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="What `export` wrote.")],
    sealed: Annotated[
        bool | None,
        typer.Option("--sealed/--not-sealed", help="Of lines: with sealed props, or not. Else as GRAPHS_SEALED says."),
    ] = None,
    tenant: Tenant = TENANT,
    timeout: Timeout = 3_600.0,
) -> None:
    """Make a graph of a copy, under a name that is free: all of it, or none."""
    from argosy.cli import graph_calls

    restored = _run(lambda opened: graph_calls.restore(opened, tenant, graph, file, timeout, sealed), reads_values=True)
    show(restored)


@app.command()
def drop(
    graph: str,
    again: Annotated[str | None, typer.Option(help="The name again, instead of being asked for it.")] = None,
    tenant: Tenant = TENANT,
) -> None:
    """Delete a graph and all that it has. Nothing brings it back but a copy."""
    if again is None:
        again = typer.prompt(f"All of graph {graph!r} of tenant {tenant!r} will be gone. Its name again")
    if again != graph:
        raise SettingError(f"{again!r} is not {graph!r}: nothing was dropped")
    _run(lambda opened: opened.graphs.drop(tenant, graph))
    show({"dropped": graph})


def _run(work: Callable[[Any], Awaitable[Any]], *, reads_values: bool = False) -> Any:
    """reads_values: of props, or writes them: where a graph is sealed, that takes its keys."""
    from argosy.cli import graph_calls
    from argosy.workflow.master_keys import load_master_keys

    settings = load_settings()
    dsn = graph_calls.running_dsn(settings) or dsn_of(settings)
    return graph_calls.run(settings, dsn, work, load_master_keys(settings) if reads_values else None)
