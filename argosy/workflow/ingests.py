"""Jobs of ingest, as turns reach them: the contract of workflows with whoever writes to the log of ingest.

Errors are those of argosy/errors.py. What cannot be had now raises an UnavailableError, and an append that may have
taken place OutcomeUnknownError: the same again is the same upload.
"""

import uuid
from typing import Any, Protocol


class Ingests(Protocol):
    """The jobs of a fleet."""

    async def start(self, tenant: str, graph: str, incarnation: uuid.UUID, lines: list[bytes], key: str) -> uuid.UUID:
        """Upload lines to this life of a graph, once under this key, and return the id of the job. Raises
        PayloadTooLargeError.
        """

    async def look(self, tenant: str, job_id: uuid.UUID, turn_id: uuid.UUID, lane: str) -> dict[str, Any]:
        """Return how a job is: {"job_id", "status", "code", "reason", "applied", "rejected"}.

        When it has not ended, its end is sent to the turn in this shape, as the signal whose name is in "signal".
        Raises WorkflowError when the tenant has no such job.
        """
