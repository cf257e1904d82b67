"""The shapes in which jobs, their rejects and their events are shown."""

import uuid
from datetime import datetime
from typing import Final

import msgspec

from argosy.ingest.job import JobKind, JobState, WaitsFor, shown_key
from argosy.store.ingest import JobEventRow, JobRow, RejectRow

_encode: Final = msgspec.json.Encoder().encode


class JobLinks(msgspec.Struct, kw_only=True):
    self: str
    events: str
    rejects: str
    cancel: str


class JobView(msgspec.Struct, kw_only=True):
    """A job. received_lines: so many the log has, and chain is their digest. lines: of the whole upload; null before it
    is whole. applied and rejected: how many of them the graph has, or refused. status `done`: all that was applied can
    be read. waits_for: why it does not go on: "shard", "operator", "upload" or "worker"; empty while it does.
    idempotency_key: a turn's upload shows the turn and its step there, which no client's key is.
    """

    job_id: uuid.UUID
    graph: str
    kind: str
    status: str
    code: str
    reason: str
    idempotency_key: str | None
    received_lines: int
    received_bytes: int
    chain: str
    is_uploaded: bool
    lines: int | None
    applied: int
    rejected: int
    rate_lines_s: float
    waits_for: str
    made_at: datetime
    ended_at: datetime | None
    links: JobLinks


class JobPage(msgspec.Struct, kw_only=True):
    """`next` is the cursor of the next page, null on the last."""

    jobs: list[JobView]
    next: str | None


class RejectView(msgspec.Struct, kw_only=True):
    """A line that was refused. line: its number, or the offset of a record of a topic, in this partition. start: its
    first 200 bytes.
    """

    line: int
    partition: int
    code: str
    reason: str
    start: str


class JobEvent(msgspec.Struct, kw_only=True):
    """A durable event of a job. id: lineage-seq, the same as in streams."""

    id: str
    job_id: uuid.UUID
    seq: int
    type: str
    at: datetime
    data: msgspec.Raw


class JobEvents(msgspec.Struct, kw_only=True):
    """`next` is the `after` of the next page."""

    job_id: uuid.UUID
    events: list[JobEvent]
    next: int


def job(row: JobRow) -> JobView:
    path = f"/v1/ingest/{row.job_id}"
    return JobView(
        job_id=row.job_id,
        graph=row.graph,
        kind=row.kind,
        status=row.state,
        code=row.code,
        reason=row.reason,
        idempotency_key=shown_key(row.idempotency_key),
        received_lines=row.received_line,
        received_bytes=row.received_bytes,
        chain=row.received_chain.hex(),
        is_uploaded=is_uploaded(row),
        lines=row.end_line,
        applied=row.applied,
        rejected=row.rejected,
        rate_lines_s=round(row.rate_lines_s, 1),
        waits_for=_waits_for(row),
        made_at=row.made_at,
        ended_at=row.ended_at,
        links=JobLinks(self=path, events=f"{path}/events", rejects=f"{path}/rejects", cancel=f"{path}/cancel"),
    )


def is_uploaded(row: JobRow) -> bool:
    """Whether nothing more of a job has to be sent: the log, or the graph, has all of it."""
    return row.state is JobState.DONE or (row.end_line is not None and row.received_line >= row.end_line)


def _waits_for(row: JobRow) -> WaitsFor:
    """Return what a job waits for: an upload also for the rest of it, when the graph has all that came."""
    is_upload = row.kind is JobKind.UPLOAD and row.state is JobState.RUNNING
    is_hungry = is_upload and row.next_line > row.received_line and not is_uploaded(row)
    return WaitsFor.UPLOAD if is_hungry and row.waits_for in (WaitsFor.NOTHING, WaitsFor.WORKER) else row.waits_for


def reject_line(row: RejectRow) -> bytes:
    """Return a refused line as a line of JSON."""
    start = row.start.decode("utf-8", "replace")
    view = RejectView(line=row.line, partition=row.partition, code=row.code, reason=row.reason, start=start)
    return _encode(view) + b"\n"


def event(job_id: uuid.UUID, row: JobEventRow) -> JobEvent:
    return JobEvent(
        id=f"{row.lineage}-{row.seq}",
        job_id=job_id,
        seq=row.seq,
        type=row.type,
        at=row.at,
        data=msgspec.Raw(row.data),
    )
