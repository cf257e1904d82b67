"""Uploads to a gateway, which a thread sends: it takes little from the loop that measures beside it."""

import asyncio
import http.client
import json
import time
import uuid
from collections.abc import Iterable
from typing import Any, Final

from bench.http import HttpClient
from bench.load import RefusedError

_SILENT_S: Final = 120.0
_LOOK_S: Final = 0.05  # a look costs the gateway 1 ms or so, which counts


async def upload(port: int, graph: str, body: bytes | Iterable[bytes], size_bytes: int | None = None) -> str:
    """Send lines, and return the id of their job once the log has all of them. Raises RefusedError, OSError.

    size_bytes: of all blocks of a body, when that is known before.
    """
    return await asyncio.to_thread(_send, port, graph, body, size_bytes)


def _send(port: int, graph: str, body: bytes | Iterable[bytes], size_bytes: int | None) -> str:
    headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": uuid.uuid4().hex}
    if size_bytes is not None:
        headers["Content-Length"] = str(size_bytes)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_SILENT_S)
    try:
        connection.request("POST", f"/v1/graphs/{graph}/ingest", body, headers)
        answer = connection.getresponse()
        said = answer.read()
    finally:
        connection.close()
    if answer.status not in (200, 202):
        raise RefusedError(f"upload: {answer.status} {said[:300]!r}")
    return str(json.loads(said)["job_id"])


async def until_done(client: HttpClient, job_id: str, within_s: float) -> int:
    """Return how many lines a job has applied, once it is done. Raises RefusedError when any of them was not."""
    until_s = time.monotonic() + within_s
    while (job := await _job(client, job_id))["status"] == "running":
        if time.monotonic() > until_s:
            raise RefusedError(f"the job is not done within {within_s:.0f} s: {job}")
        await asyncio.sleep(_LOOK_S)
    if job["status"] != "done" or job["applied"] != job["lines"]:
        raise RefusedError(f"not every line was applied: {job}")
    return int(job["applied"])


async def _job(client: HttpClient, job_id: str) -> dict[str, Any]:
    answer = await client.request("GET", f"/v1/ingest/{job_id}")
    if answer.status != 200:
        raise RefusedError(f"job: {answer.status} {answer.body[:300]!r}")
    return dict(json.loads(answer.body))
