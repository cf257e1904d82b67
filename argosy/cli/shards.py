"""`argosy shards …`: which shards there are, and what is on them (shard_calls.py). That needs what other processes
need: STATE_DB_URI or the data folder of `argosy up`, and the secret of the fleet.

A SHARD is named by its id, or by the endpoint at which it answers.
"""

import uuid
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer

from argosy.cli.gateway_call import show
from argosy.cli.options import dsn_of, load_settings
from argosy.clock import SystemClock
from argosy.errors import SettingError
from argosy.graph.facts import GraphName

app = typer.Typer(help="Shards.", no_args_is_help=True)

Wait = Annotated[bool, typer.Option("--wait", help="Until that is done; how far it is goes to stderr.")]


@app.command("list")
def list_shards() -> None:
    """Show the shards, how many graphs each has, how many come and go, and whether it answers."""
    from argosy.cli import shard_calls

    show(_run(shard_calls.shards))


@app.command()
def moves(
    limit: Annotated[int, typer.Option(min=1, max=5_000, help="Of open moves, and of ended ones.")] = 50,
) -> None:
    """Show what is planned, which graphs move, and which moved last."""
    from argosy.cli import shard_calls

    show(_run(lambda opened: shard_calls.moves(opened, limit)))


@app.command()
def add(
    endpoint: str,
    rebalance: Annotated[bool, typer.Option(help="Let it take its share of the graphs.")] = True,
) -> None:
    """Make a shard a member: one that runs, with an empty folder. It gets its share of the graphs, old and new."""
    from argosy.cli import shard_calls

    async def added(opened: Any) -> dict[str, Any]:
        answer = await shard_calls.add(opened, endpoint)
        return answer | (await shard_calls.rebalance(opened) if rebalance else {})

    show(_run(added))


@app.command()
def remove(shard: str) -> None:
    """Take a shard out that has no graphs any more."""
    from argosy.cli import shard_calls

    show(_run(lambda opened: shard_calls.remove(opened, shard)))


@app.command()
def drain(shard: str, wait: Wait = False) -> None:
    """Let a shard get no new graphs, and those that it has go to the others."""
    from argosy.cli import shard_calls

    _ask(lambda opened: shard_calls.drain(opened, shard), wait=wait)


@app.command()
def undrain(shard: str) -> None:
    """Let a shard that is drained take graphs again, and keep those that it still has."""
    from argosy.cli import shard_calls

    show(_run(lambda opened: shard_calls.undrain(opened, shard)))


@app.command()
def move(
    graph: str,
    to: Annotated[str, typer.Option("--to", help="The shard.")],
    tenant: Annotated[str, typer.Option(help="Whose graph it is.")] = "default",
    wait: Wait = False,
) -> None:
    """Move one graph to another shard. A rebalance brings it back to where it belongs."""
    from argosy.cli import shard_calls

    _ask(lambda opened: shard_calls.move(opened, GraphName(tenant, graph), to), wait=wait)


@app.command()
def rebalance(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how many graphs would move.")] = False,
    wait: Wait = False,
) -> None:
    """Move each graph to the shard where it belongs: after a shard was added, its share comes to it."""
    from argosy.cli import shard_calls

    if dry_run:
        show(_run(shard_calls.would_move))
    else:
        _ask(shard_calls.rebalance, wait=wait)


@app.command()
def cancel(plan_or_move: str) -> None:
    """End a plan or a move: what was not begun is forgotten, and what can still be given up is."""
    from argosy.cli import shard_calls

    try:
        asked_id = uuid.UUID(plan_or_move)
    except ValueError:
        raise SettingError(f"{plan_or_move!r} is no id of a plan or a move: `argosy shards moves`") from None
    show(_run(lambda opened: shard_calls.cancel(opened, asked_id)))


@app.command()
def orphans(
    drop: Annotated[bool, typer.Option("--drop", help="Drop them, with all that they have.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before.")] = False,
) -> None:
    """Show the graphs that shards have and the database does not know, as after it was restored from a backup, and what
    shards have still of graphs that have moved to others since (moved_to), as after their folders were.
    """
    from argosy.cli import shard_calls

    found = _run(shard_calls.orphans)
    show([shard_calls.shown_orphan(each) for each in found])
    if not (drop and found):
        return
    if not yes:
        typer.confirm(
            f"All of these {len(found)} graphs will be gone from these shards; where they have moved to they stay. "
            "Nothing brings them back. Go on",
            abort=True,
            err=True,
        )
    gone = _run(lambda opened: shard_calls.drop_orphans(opened, found))
    typer.echo(f"{gone} dropped", err=True)


def _ask(ask: Callable[[Any], Awaitable[dict[str, Any]]], *, wait: bool) -> None:
    """Ask for a plan or a move, show that, and wait for it if that is wanted."""
    from argosy.cli import shard_calls

    async def asked(opened: Any) -> bool:
        show(answer := await ask(opened))
        asked_id = uuid.UUID(answer.get("plan") or answer["move"])
        return not wait or await shard_calls.wait(opened, asked_id, SystemClock())

    if not _run(asked):
        raise SettingError("the move was given up: `argosy shards moves` says why")


def _run(work: Callable[[Any], Awaitable[Any]]) -> Any:
    from argosy.cli import graph_calls

    settings = load_settings()
    return graph_calls.run(settings, graph_calls.running_dsn(settings) or dsn_of(settings), work)
