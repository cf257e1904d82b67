"""The client library: turns and uploads into graphs, through any gateway. Every call is safe to repeat."""

from argosy.client.assembler import Assembler, Channel
from argosy.client.async_client import AsyncClient, AsyncTurnHandle
from argosy.client.async_jobs import AsyncJobHandle
from argosy.client.errors import (
    ForbiddenError,
    GatewayUnreachableError,
    JobError,
    ProblemError,
    TurnCancelledError,
    TurnEndedError,
    TurnError,
    TurnExpiredError,
    TurnFailedError,
    TurnNotFoundError,
    TurnParkedError,
    TurnRejectedError,
    UnauthenticatedError,
)
from argosy.client.events import ChannelReset, Event, Frame, Gap, Resync, Snapshot, StreamEvent
from argosy.client.job import Job, JobEvent, Reject
from argosy.client.source import Source, Uploadable, source_of
from argosy.client.sync_client import Client, TurnHandle
from argosy.client.sync_jobs import JobHandle
from argosy.client.turn import Step, Turn, Wait
from argosy.client.uploading import Uploading

__all__ = [
    "Assembler",
    "AsyncClient",
    "AsyncJobHandle",
    "AsyncTurnHandle",
    "Channel",
    "ChannelReset",
    "Client",
    "Event",
    "ForbiddenError",
    "Frame",
    "Gap",
    "GatewayUnreachableError",
    "Job",
    "JobError",
    "JobEvent",
    "JobHandle",
    "ProblemError",
    "Reject",
    "Resync",
    "Snapshot",
    "Source",
    "Step",
    "StreamEvent",
    "Turn",
    "TurnCancelledError",
    "TurnEndedError",
    "TurnError",
    "TurnExpiredError",
    "TurnFailedError",
    "TurnHandle",
    "TurnNotFoundError",
    "TurnParkedError",
    "TurnRejectedError",
    "UnauthenticatedError",
    "Uploadable",
    "Uploading",
    "Wait",
    "source_of",
]
