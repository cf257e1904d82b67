"""A job of ingest as a gateway shows it, its events and its rejects."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec

from argosy.client.errors import JobError
from argosy.errors import CallerError
from argosy.ingest.job import ENDING, JobState

_Shape = TypeVar("_Shape")


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job at one moment. received_lines: what the log has of it; chain: the digest of these lines. lines: how many it
    has; None before its upload is whole. applied, rejected: what the graph has and refused of them. waits_for: why it
    does not go on ("shard", "operator", "upload", "worker"); empty while it does.
    """

    job_id: str
    graph: str
    status: str
    code: str = ""
    reason: str = ""
    received_lines: int = 0
    received_bytes: int = 0
    chain: str = ""
    is_uploaded: bool = False
    lines: int | None = None
    applied: int = 0
    rejected: int = 0
    rate_lines_s: float = 0.0
    waits_for: str = ""
    made_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def has_ended(self) -> bool:
        return self.status != JobState.RUNNING


class Reject(msgspec.Struct, frozen=True, kw_only=True):
    """A line that was refused. start: its first 200 bytes. partition: of a topic, whose offset line is then."""

    line: int
    partition: int = 0
    code: str = ""
    reason: str = ""
    start: str = ""


class JobEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A message of a job's stream: a durable event, or its progress (type "job.progress"). id: send it as Last-Event-ID
    to go on after this message.
    """

    id: str = ""
    job_id: str
    seq: int = 0
    type: str
    at: datetime | None = None
    data: dict[str, Any] = {}

    @property
    def is_ending(self) -> bool:
        """Whether the job ends with this event."""
        return self.type in ENDING


class _Page(msgspec.Struct, frozen=True):
    jobs: tuple[Job, ...]


_job: Final = msgspec.json.Decoder(Job)
_page: Final = msgspec.json.Decoder(_Page)
_reject: Final = msgspec.json.Decoder(Reject)


def decode_job(content: bytes) -> Job:
    """Decode the answer to a request about a job. Raises CallerError when it is not a gateway's answer."""
    return _decode(_job, content)


def decode_jobs(content: bytes) -> tuple[Job, ...]:
    """Decode a page of jobs. Raises CallerError when it is not a gateway's answer."""
    return _decode(_page, content).jobs


def decode_rejects(content: bytes) -> Sequence[Reject]:
    """Decode lines about refused lines. Raises CallerError when they are not a gateway's answer."""
    return [_decode(_reject, line) for line in content.split(b"\n") if line]


def decode_job_event(kind: str, event_id: str, data: str) -> JobEvent:
    """Decode a message of a job's stream: its `event:`, `id:` and `data:`. Raises ValueError when it is none."""
    try:
        members = msgspec.json.decode(data, type=dict[str, Any])
        return msgspec.convert(members | {"type": kind or members.get("type", ""), "id": event_id}, JobEvent)
    except msgspec.MsgspecError as error:
        raise ValueError(f"a message of a job's stream cannot be read: {error}") from error


def done_of(job: Job) -> Job:
    """Return a job that has ended. Raises JobError unless it is done."""
    if job.status != JobState.DONE:
        raise JobError(job.job_id, job.status, job.code, job.reason)
    return job


def _decode(decoder: msgspec.json.Decoder[_Shape], content: bytes) -> _Shape:
    try:
        return decoder.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CallerError(f"what answers is no gateway of Argosy: {error}") from error
