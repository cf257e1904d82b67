"""Uploads a text into a graph, as a part of the demonstration."""

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Final
from urllib.parse import quote

from argosy.client import AsyncClient, ProblemError
from argosy.clock import SystemClock
from argosy.errors import CallerError

_LOOK_S: Final = 0.1  # how soon it is seen that all of it is applied
_WITHIN_S: Final = 60.0


async def upload(client: AsyncClient, path: Path, graph: str) -> str:
    """Upload a text as one document, named after its file, and wait until the graph has it; return what came of it, in
    words. The same text again is the same upload. Raises CallerError when it is not applied.
    """
    text = await asyncio.to_thread(path.read_text, encoding="utf-8")
    document = {"op": "document", "id": path.stem, "text": text, "metadata": {"title": path.name}}
    content = json.dumps([document]).encode()
    key = hashlib.sha256(content).hexdigest()
    try:
        job = await client.request("POST", f"/v1/graphs/{quote(graph, safe='')}/ingest", content=content, key=key)
        async with asyncio.timeout(_WITHIN_S):
            while job["status"] == "running":
                await SystemClock().sleep(_LOOK_S)
                job = await client.request("GET", job["links"]["self"])
    except ProblemError as error:
        raise CallerError(f"the gateway answered {error.status} to {path.name}: {error.problem}") from error
    except TimeoutError:
        what = job["waits_for"] or "an ingest worker"
        raise CallerError(f"{path.name} was not applied within {_WITHIN_S:g} s: it waits for {what}") from None
    if job["status"] != "done" or job["rejected"]:
        raise CallerError(f"{path.name} was not applied: {job['status']} {job['reason']}")
    return f"ingested {path.name} ({len(text)} characters) into graph {graph}"
