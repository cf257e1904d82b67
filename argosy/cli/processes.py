"""The commands that run a process, or a tree of them, until it is told to end."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from argosy.address import check_reach
from argosy.cli.options import ParentFd, dsn_of, load_settings
from argosy.process.ending import leave


def up(
    workflows: Annotated[
        list[str] | None, typer.Option(help="A file or module with workflows; may be repeated.")
    ] = None,
    demo: Annotated[
        Path | None,
        typer.Option(
            help="Post the turns of this file, one JSON object a line, and show what happens. Those after an empty "
            "line wait for those before it."
        ),
    ] = None,
    once: Annotated[
        bool, typer.Option(help="End after the demonstration; exit code 1 when a turn of it did not complete.")
    ] = False,
    host: Annotated[str | None, typer.Option(help="Address to bind.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to bind.")] = None,
    parent_fd: ParentFd = None,
) -> None:
    """Run everything on this machine, in one process tree: Postgres (unless STATE_DB_URI names one), a gateway, a
    worker, a shard for graphs (unless GRAPH_SERVICE_ENDPOINTS names others) and an ingest worker for them, and
    maintenance.
    """
    from argosy.local.up import Tree

    settings = load_settings(host=host, port=port, argosy_workflows=tuple(workflows) if workflows else None)
    sys.exit(Tree(settings, demo=demo, is_once=once, parent_fd=parent_fd).run())


def gateway(parent_fd: ParentFd = None) -> None:
    """Run a gateway, which serves the REST API; with AGENT_DISPATCH_BACKEND=inline also a dispatch worker."""
    from argosy.gateway.main import run
    from argosy.local.inline_worker import inline_worker

    settings = load_settings()
    dsn_of(settings)
    check_reach(settings.host, is_remote_allowed=settings.gateway_allow_remote)  # before the worker is started
    with inline_worker(settings):
        code = run(settings, parent_fd)
    leave(code)


def maintain(parent_fd: ParentFd = None) -> None:
    """Run maintenance: stand for every role (trim, retention, horizon, graphs, rebalance, erase, census), and lead
    those that no other process leads.
    """
    from argosy.workers.maintenance.main import run

    settings = load_settings()
    leave(run(settings, dsn_of(settings), parent_fd))


def shard(
    host: Annotated[str | None, typer.Option(help="Address to bind.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to bind; 0: a free one.")] = None,
    socket: Annotated[str | None, typer.Option(help="Path of a Unix socket to bind instead.")] = None,
    parent_fd: ParentFd = None,
) -> None:
    """Run a graph shard, which keeps graphs in a folder of its own and serves them over gRPC."""
    # gRPC reads this when it is imported. Its fork handlers are for children that go on without exec, and a shard's are
    # views, programs of their own without gRPC: it would only say, at each start of one, that it skips the handlers.
    os.putenv("GRPC_ENABLE_FORK_SUPPORT", "0")
    from argosy.shards.main import run

    settings = load_settings(shard_host=host, shard_port=port, shard_socket=socket)
    leave(run(settings, parent_fd))


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

    settings = load_settings(argosy_workflows=tuple(workflows) if workflows else None)
    leave(run(settings, dsn_of(settings), parent_fd, is_strict=strict))


def ingest(parent_fd: ParentFd = None) -> None:
    """Run an ingest worker, which applies what is uploaded to graphs, of all lanes."""
    from argosy.workers.ingest.main import run

    settings = load_settings()
    leave(run(settings, dsn_of(settings), parent_fd))


def broker(
    nodes: Annotated[int, typer.Option(help="1, or 3 for a cluster that survives the loss of one.")] = 1,
    port: Annotated[int, typer.Option(help="Port of the first node.")] = 9092,
) -> None:
    """Run a real Kafka for development and tests, from Maven Central's jars, until Ctrl-C."""
    from argosy.local.up import serve_broker

    settings = load_settings()
    sys.exit(serve_broker(settings, nodes, port))
