"""A job of ingest as tests write it: what its gateway and its worker say of it."""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from argosy.ingest.chain import EMPTY
from argosy.ingest.job import JobKind, WaitsFor, bucket_of_graph
from argosy.store.ingest import JobRow, Jobs, NewJob
from argosy.store.ingest_notes import JobNote, Passed, RejectNote, Verdict

LOG, TENANT = "cluster/topic", "acme"


def chain_at(line: int) -> bytes:
    return EMPTY if line == 0 else line.to_bytes(16, "big")


@dataclass
class Job:
    """An upload into a graph."""

    graph: str = "crm"
    incarnation: uuid.UUID = field(default_factory=uuid.uuid4)
    job_id: uuid.UUID = field(default_factory=uuid.uuid4)

    @property
    def new(self) -> NewJob:
        bucket = bucket_of_graph(TENANT, self.graph)
        return NewJob(self.job_id, TENANT, self.graph, self.incarnation, JobKind.UPLOAD, bucket, "key")

    def note(self, through: int | None, *, rejected: int = 0, end: int | None = None, **more: Any) -> JobNote:
        """What a worker says of the job. through: the line that the file has."""
        said: dict[str, Any] = {"rate_lines_s": 5.0, "waits_for": WaitsFor.NOTHING, "verdict": Verdict.NOTHING}
        said.update({"code": "", "reason": "", **more})
        file: dict[str, Any] = {"next_line": None, "chain": None, "applied": None, "rejected": None}
        if through is not None:
            file = {
                "next_line": through + 1,
                "chain": chain_at(through),
                "applied": through - rejected,
                "rejected": rejected,
            }
        return JobNote(
            job_id=self.job_id,
            tenant=TENANT,
            graph=self.graph,
            incarnation=self.incarnation,
            bucket=self.new.bucket,
            made_at=datetime.now(UTC),
            end_line=end,
            end_chain=None if end is None else chain_at(end),
            **file,
            **said,
        )

    def reject(self, line: int) -> RejectNote:
        return RejectNote(self.job_id, 0, line, "invalid_json", "it is no JSON", b"{")

    async def row(self, jobs: Jobs) -> JobRow:
        row = await jobs.find(self.job_id, TENANT)
        assert row is not None
        return row


def passed(begin: int, end: int, partition: int = 0, age_s: float | None = None) -> Passed:
    return Passed(partition, begin, end, age_s)


async def execute(dsn: str, statement: str, *arguments: object) -> None:
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "argosy"})
    await connection.execute(statement, *arguments)
    await connection.close()


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)
