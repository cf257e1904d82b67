"""`argosy graph ingest …`, `jobs`, `job`, `cancel-ingest`: what goes into graphs, through a gateway."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from argosy.cli.gateway_call import ask, call, segment, show
from argosy.cli.graphs import TENANT, Tenant
from argosy.cli.options import URL, Url


def ingest(
    graph: str,
    files: Annotated[
        list[Path],
        typer.Argument(
            allow_dash=True,
            help="Lines (.ndjson, .jsonl), a list (.json), texts (.txt, .md), each also as .gz; -: lines from stdin.",
        ),
    ],
    key: Annotated[
        str | None,
        typer.Option(help="Idempotency key of one file; by default one of its path, size and time of change."),
    ] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait until it is applied.")] = False,
    rejects: Annotated[
        Path | None, typer.Option(dir_okay=False, help="A file for the lines that were refused, with the reasons.")
    ] = None,
    tenant: Tenant = TENANT,
    url: Annotated[
        list[str] | None, typer.Option(help="A gateway; may be repeated, for others to try when it does not answer.")
    ] = None,
) -> None:
    """Upload files into a graph, each as a job, and wait until they are applied. The same again goes on where it was
    interrupted, and changes nothing when it was not. Exit code 1: a job failed or has rejects; 130: Ctrl-C, and the
    jobs go on.
    """
    from argosy.cli.ingest_watch import ingest_files

    sys.exit(ingest_files(url or [URL], tenant, graph, files, key=key, is_waited_for=not no_wait, rejects_file=rejects))


def jobs(
    graph: str,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many at the most.")] = 20,
    tenant: Tenant = TENANT,
    url: Url = URL,
) -> None:
    """Show a graph's jobs, the newest first."""
    path = f"/v1/graphs/{segment(graph)}/ingest?limit={limit}"
    answer, is_success = ask("GET", url, path, headers=_headers(tenant))
    show(answer["jobs"] if is_success else answer)
    sys.exit(0 if is_success else 1)


def job(job_id: str, tenant: Tenant = TENANT, url: Url = URL) -> None:
    """Show a job."""
    call("GET", url, f"/v1/ingest/{segment(job_id)}", headers=_headers(tenant))


def cancel_ingest(job_id: str, tenant: Tenant = TENANT, url: Url = URL) -> None:
    """Cancel a job. What was applied stays."""
    call("POST", url, f"/v1/ingest/{segment(job_id)}/cancel", headers=_headers(tenant))


def _headers(tenant: str) -> dict[str, str]:
    return {} if tenant == TENANT else {"x-argosy-tenant": tenant}
