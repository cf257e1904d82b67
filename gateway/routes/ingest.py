"""POST /v1/graphs/{graph}/ingest, and what became of it: /v1/ingest/{job_id}, …/rejects, …/events, …/cancel.

An upload of any size becomes records of the log (gateway/ingest/upload.py); a job says how far they are applied.
"""

import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from argosy.errors import UploadError
from argosy.gateway import names
from argosy.gateway.access import GuardedRoute, needs, tenant_of
from argosy.gateway.graph_asker import check_right, created_for_upload
from argosy.gateway.ingest import views
from argosy.gateway.ingest.asked_job import asked_job
from argosy.gateway.ingest.blocks import is_gzip
from argosy.gateway.ingest.job_source import JobSource, not_found
from argosy.gateway.ingest.lines import Shape, lines, shape_of
from argosy.gateway.ingest.packer import LINE_MAX, Packer, Place
from argosy.gateway.ingest.upload import Upload
from argosy.gateway.openapi import answers, content, or_stream, problems
from argosy.gateway.parameters import (
    INTEGER_MAX,
    NO_NUL_PATTERN,
    Cursor,
    Limit,
    microseconds,
    moment,
    page_size,
    strict,
)
from argosy.gateway.problems import Problem
from argosy.gateway.routes.events import After, From, last_event_id
from argosy.gateway.routes.graphs import name_of
from argosy.gateway.routes.turns import json_response
from argosy.gateway.state import State, state_of
from argosy.gateway.stream.event_id import BEGIN, parse, parse_from
from argosy.gateway.stream.sse import format_of
from argosy.gateway.stream.stream import Stream
from argosy.gateway.stream.stream_response import StreamResponse
from argosy.gateway.turn_request import checked_key
from argosy.graph.acl import Right
from argosy.graph.ops import NAME_LENGTH_MAX
from argosy.identity.scopes import Scope
from argosy.ingest.chain import EMPTY
from argosy.ingest.job import JobKind, JobState, bucket_of_graph, job_id_of
from argosy.names import KEY_PATTERN
from argosy.store.ingest import NEWEST, JobPlace, JobRow, NewJob

router: Final = APIRouter(prefix="/v1", tags=["ingest"], dependencies=[strict], route_class=GuardedRoute)

_REJECTS_AT_ONCE: Final = 1_000
_UPLOADED: Final[dict[int | str, Any]] = {
    202: {"description": "The log has all of it", "content": content("application/json", "JobView")},
    200: {"description": "It came before, and its job has ended", "content": content("application/json", "JobView")},
}
_REJECTS: Final[dict[int | str, Any]] = {
    200: {
        "description": "A line for each line that was refused, in order",
        "content": content("application/x-ndjson", "RejectView"),
    }
}
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {media_type: {"schema": {"type": "string"}} for media_type in ("application/x-ndjson", "text/plain")}
        | {"application/json": {"schema": {}}},
    }
}


@router.post(
    "/graphs/{graph}/ingest",
    status_code=202,
    responses=_UPLOADED | problems(408, 409, 413, 415, 422, 504),
    openapi_extra=_BODY,
)
@needs(Scope.JOBS_WRITE)
async def ingest(
    graph: str,
    request: Request,
    after_line: Annotated[
        int | None, Query(ge=0, le=LINE_MAX, description="The body begins behind this line of the upload.")
    ] = None,
    chain: Annotated[
        str | None, Query(pattern="^[0-9a-f]{32}$", description="With `after_line`: the chain that the job shows.")
    ] = None,
    document: Annotated[
        str | None,
        Query(alias="id", max_length=NAME_LENGTH_MAX, pattern=NO_NUL_PATTERN, description="Of a text: its id."),
    ] = None,
) -> Response:
    """Take lines into a graph, which is made unless it is there: operations and documents, as NDJSON of any size, a
    list of JSON, or one text. gzip is welcome. 202: the log has all of it; with the same key it is applied once.
    """
    state = state_of(request)
    tenant, name = tenant_of(request), name_of(request)
    shape = shape_of(request)
    is_gzip(request)  # what cannot be read makes no job
    if (shape is Shape.TEXT) != (document is not None):
        raise Problem(
            "invalid_parameter", "`id` is that of the document which a text becomes: there it has to be given"
        )
    if document is not None:
        names.node_id(document)
    key = checked_key(request.headers.get("idempotency-key"))
    begin = _begin(shape, key, after_line, chain)
    memory = state.uploads.whole(tenant)
    all_lines = lines(request, state.settings, memory, shape, document, is_begun=bool(after_line))
    open_requests = state.identity.open_requests
    with state.uploads.opened(tenant), open_requests.opened(request.scope) as upload:
        async with aclosing(all_lines), aclosing(await _readable(shape, all_lines)) as sent:
            opened = await state.ingest_log.opened()
            row = await created_for_upload(request, tenant, name)
            key = key or uuid.uuid4().hex
            job_id = job_id_of(tenant, name, row.incarnation, key)
            bucket = bucket_of_graph(tenant, name)
            new = NewJob(job_id, tenant, name, row.incarnation, JobKind.UPLOAD, bucket, key)
            job = await state.jobs.begin(new, opened.log_id)
            if job.state is not JobState.RUNNING and job.end_line is None:
                return json_response(views.job(job))
            if begin is not None and begin != Place(job.received_line, job.received_chain):
                raise _moved(job, begin)
            packer = Packer(job, begin or Place(0, EMPTY), state.settings.ingest_record_size_bytes)
            job = await Upload(job, packer, opened, state.jobs, state.uploads, upload, state.clock).run(sent)
    return json_response(views.job(job), 202 if job.state is JobState.RUNNING else 200)


@router.get("/graphs/{graph}/ingest", responses=answers("JobPage", 404, 422))
@needs(Scope.JOBS_READ)
async def list_jobs(
    graph: str,
    request: Request,
    key: Annotated[
        str | None, Query(pattern=KEY_PATTERN, description="Only the job of the graph as it is now with this key.")
    ] = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response:
    """The jobs of a graph, newest first; also those of graphs that had its name before."""
    state = state_of(request)
    tenant, name = tenant_of(request), name_of(request)
    await check_right(request, tenant, name, Right.READ)
    if key is not None:
        found = await _of_key(state, tenant, name, key)
        return json_response(views.JobPage(jobs=[views.job(row) for row in found], next=None))
    list_name = ("jobs", tenant, name)
    before = NEWEST
    if cursor is not None:
        at_us, job_id = state.cursors.decode(list_name, cursor, tuple[int, uuid.UUID])
        before = JobPlace(moment(at_us), job_id)
    size = page_size(limit, state.settings.page_size_max)
    rows = await state.jobs.list(tenant, name, before, size + 1)
    last = rows[size - 1] if len(rows) > size else None
    return json_response(
        views.JobPage(
            jobs=[views.job(row) for row in rows[:size]],
            next=state.cursors.encode(list_name, (microseconds(last.made_at), last.job_id)) if last else None,
        )
    )


@router.get("/ingest/{job_id}", responses=answers("JobView", 404))
@needs(Scope.JOBS_READ)
async def get_job(job_id: str, request: Request) -> Response:
    """A job: what the log has of it, and what the graph. `done`: what was applied can be read."""
    return json_response(views.job(await asked_job(request, job_id)))


@router.get("/ingest/{job_id}/rejects", responses=_REJECTS | problems(404))
@needs(Scope.JOBS_READ)
async def get_rejects(
    job_id: str,
    request: Request,
    after: Annotated[
        int | None, Query(ge=0, le=LINE_MAX, description="Only lines behind this one; offsets of a topic begin with 0.")
    ] = None,
    partition: Annotated[int, Query(ge=0, le=INTEGER_MAX, description="Of a topic: from this partition on.")] = 0,
    limit: Annotated[
        int | None, Query(ge=1, le=INTEGER_MAX, description="So many at the most; without it, all.")
    ] = None,
) -> Response:
    """The lines that were refused so far, each with the reason. At most INGEST_REJECTS_MAX are kept of a job."""
    row = await asked_job(request, job_id, Right.ADMIN)  # it shows of lines what nodes' lists would keep back
    begin = partition, -1 if after is None else after
    pages = _rejects(state_of(request), row, begin, limit or INTEGER_MAX)
    first = await anext(pages, b"")
    return StreamingResponse(_rest(first, pages), media_type="application/x-ndjson")


@router.get("/ingest/{job_id}/events", responses=or_stream(answers("JobEvents", 404)))
@needs(Scope.JOBS_READ)
async def get_job_events(
    job_id: str, request: Request, after: After = None, limit: Limit = None, begin: From = None
) -> Response:
    """The durable events after `after`, in order: 1..n without gaps. When Accept asks for a stream, it goes on with new
    events and the job's progress, and ends with the job. 204: the job has ended, and the client has all its events.
    """
    state = state_of(request)
    row = await asked_job(request, job_id)
    shape = format_of(request.headers.get("accept", ""))
    if shape is None:
        if begin is not None or request.headers.get("last-event-id"):
            detail = "`from` and Last-Event-ID are of a stream: say in Accept which one, or use `after`"
            raise Problem("invalid_parameter", detail)
        return await _page(state, row, after or 0, limit)
    if after is not None or limit is not None:
        raise Problem("invalid_parameter", "`after` and `limit` are of a page: a stream has `from`")
    last = last_event_id(request, begin, parse, parse_from) or BEGIN
    source = JobSource(state.jobs, state.moved_jobs, row, last)
    stream = Stream(state.connections, source, state.settings.sse_heartbeat_s)
    return StreamResponse(state.streams, state.identity.open_requests, row.tenant, stream, shape)


@router.post("/ingest/{job_id}/cancel", responses=answers("JobView", 404, 409))
@needs(Scope.JOBS_WRITE)
async def cancel_job(job_id: str, request: Request) -> Response:
    """End a job. What was applied stays. 200 also when it was cancelled before; 409 when it has ended otherwise."""
    state = state_of(request)
    tenant, found = tenant_of(request), names.job_id(job_id)
    await asked_job(request, job_id, Right.ADMIN)
    row = await state.jobs.cancel(found, tenant)
    if row is None:
        raise not_found(found)
    if row.state is not JobState.CANCELLED:
        raise Problem("job_ended", f"the job is {row.state}", job_id=job_id, job_status=row.state)
    return json_response(views.job(row))


def _begin(shape: Shape, key: str | None, after_line: int | None, chain: str | None) -> Place | None:
    """Return the place behind which the body begins; None: at the beginning. Raises Problem."""
    if (after_line is None) != (chain is None):
        raise Problem("invalid_parameter", "`after_line` and `chain` go together")
    if after_line is None or chain is None:
        return None
    if key is None or shape is not Shape.LINES:
        raise Problem("invalid_parameter", "`after_line` is for lines whose upload began with an Idempotency-Key")
    return Place(after_line, bytes.fromhex(chain))


async def _readable(shape: Shape, sent: AsyncGenerator[list[bytes]]) -> AsyncGenerator[list[bytes]]:
    """Return the lines of an upload; of one that is read as a whole, once it was: what cannot be read makes no job.
    Raises Problem.
    """
    if shape is Shape.LINES:
        return sent
    try:
        first = await anext(sent)
    except UploadError as error:
        raise Problem(error.code, str(error)) from error
    return _behind(first, sent)


async def _behind(first: list[bytes], sent: AsyncGenerator[list[bytes]]) -> AsyncGenerator[list[bytes]]:
    yield first
    async for lines_ in sent:
        yield lines_


def _moved(job: JobRow, begin: Place) -> Problem:
    detail = f"the log has {job.received_line} lines of it, and this part begins behind line {begin.line}"
    job_id, received_chain = str(job.job_id), job.received_chain.hex()
    return Problem("upload_moved", detail, job_id=job_id, received_lines=job.received_line, chain=received_chain)


async def _of_key(state: State, tenant: str, name: str, key: str) -> list[JobRow]:
    graph = await state.graphs.find(tenant, name)
    row = await state.jobs.find(job_id_of(tenant, name, graph.incarnation, key), tenant)
    return [] if row is None else [row]


async def _page(state: State, row: JobRow, after: int, limit: int | None) -> Response:
    events_max = state.settings.events_page_size_max
    rows = await state.jobs.events(row.job_id, row.tenant, after, page_size(limit, events_max, events_max))
    events = [views.event(row.job_id, each) for each in rows]
    return json_response(views.JobEvents(job_id=row.job_id, events=events, next=rows[-1].seq if rows else after))


async def _rejects(state: State, row: JobRow, after: tuple[int, int], left: int) -> AsyncIterator[bytes]:
    while left and (rows := await state.jobs.rejects(row.job_id, row.tenant, after, min(left, _REJECTS_AT_ONCE))):
        yield b"".join(map(views.reject_line, rows))
        after = rows[-1].partition, rows[-1].line
        left -= len(rows)


async def _rest(first: bytes, pages: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if first:
        yield first
    async for page in pages:
        yield page
