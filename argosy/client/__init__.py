"""The client library: submit, watch, signal and cancel turns through any gateway. Every call is safe to repeat."""

from argosy.client.assembler import Assembler, Channel
from argosy.client.async_client import AsyncClient, AsyncTurnHandle
from argosy.client.errors import (
    GatewayUnreachableError,
    ProblemError,
    TurnCancelledError,
    TurnEndedError,
    TurnError,
    TurnExpiredError,
    TurnFailedError,
    TurnNotFoundError,
    TurnParkedError,
    TurnRejectedError,
)
from argosy.client.events import ChannelReset, Event, Frame, Gap, Resync, Snapshot, StreamEvent
from argosy.client.sync_client import Client, TurnHandle
from argosy.client.turn import Step, Turn, Wait

__all__ = [
    "Assembler",
    "AsyncClient",
    "AsyncTurnHandle",
    "Channel",
    "ChannelReset",
    "Client",
    "Event",
    "Frame",
    "Gap",
    "GatewayUnreachableError",
    "ProblemError",
    "Resync",
    "Snapshot",
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
    "Wait",
]
