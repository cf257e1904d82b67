"""Uploads as tests send them, and what the log has of them."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx2

from argosy.ingest.record import EndRecord, IngestRecord, LinesRecord, decode, split_lines
from tests.gateway.rows import Rows

NDJSON = {"content-type": "application/x-ndjson"}
INGEST = "/v1/graphs/docs/ingest"
GONE = object()  # the client closes the connection
_SHARD = uuid.UUID(int=1)
SILENT = object()  # the client sends nothing more, and stays


def node(name: object) -> bytes:
    return b'{"op": "upsert_node", "id": "%b", "label": "Thing"}' % str(name).encode()


def text_of(lines: Sequence[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


@asynccontextmanager
async def graph_of(rows: Rows, name: str = "docs") -> AsyncIterator[None]:
    """A graph, as the directory has it: an upload asks no shard for it."""
    await rows.connection.execute(
        "INSERT INTO shards (member_id, endpoint) VALUES ($1, '127.0.0.1:9') ON CONFLICT DO NOTHING", _SHARD
    )
    await rows.connection.execute(
        "INSERT INTO graphs (tenant, graph, incarnation, shard, state) VALUES ($1, $2, $3, $4, 'active')",
        rows.tenant, name, uuid.uuid4(), _SHARD,
    )  # fmt: skip
    yield
    await rows.connection.execute("DELETE FROM graphs WHERE tenant = $1", rows.tenant)


async def records_of(dsn: str, job_id: str) -> list[IngestRecord]:
    """What the log has of a job, in order."""
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "argosy"})
    key = uuid.UUID(job_id).bytes
    rows = await connection.fetch("SELECT value FROM log_records WHERE key = $1 ORDER BY position", key)
    await connection.close()
    return [decode(row["value"]) for row in rows]


def lines_of(records: Sequence[IngestRecord]) -> dict[int, bytes]:
    """The lines of these records by their numbers."""
    return {
        each.first_line + index: line
        for each in records
        if isinstance(each, LinesRecord)
        for index, line in enumerate(split_lines(each))
    }


def ends_of(records: Sequence[IngestRecord]) -> list[EndRecord]:
    return [each for each in records if isinstance(each, EndRecord)]


async def send(client: httpx2.AsyncClient, path: str, parts: Iterable[Any], **headers: str) -> httpx2.Response | None:
    """Send a body part by part, as a server hands it to the app; None: the app did not answer."""
    sent = iter(parts)

    async def receive() -> dict[str, Any]:
        part = next(sent, b"")
        if part is GONE:
            return {"type": "http.disconnect"}
        if part is SILENT:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": part, "more_body": bool(part)}

    answered: list[dict[str, Any]] = []

    async def answer(message: dict[str, Any]) -> None:
        answered.append(message)

    request = client.build_request("POST", path, headers={**NDJSON, **headers})
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "scheme": "http",
        "path": request.url.path,
        "raw_path": request.url.raw_path.split(b"?")[0],
        "query_string": request.url.query,
        "server": ("localhost", 80),
        "client": ("127.0.0.1", 1),
        "root_path": "",
    }
    await client._transport.app(scope, receive, answer)  # type: ignore[attr-defined]
    if not answered:
        return None
    body = b"".join(each.get("body", b"") for each in answered[1:])
    response = httpx2.Response(answered[0]["status"], headers=answered[0]["headers"], content=body, request=request)
    for hook in client.event_hooks["response"]:
        await hook(response)
    return response
