"""Argosy: durable execution of agent sessions. This module has the names that authors of workflows import."""

import importlib
from typing import TYPE_CHECKING, Any

from argosy.errors import (
    ArgosyError,
    EffectNotStartedError,
    GraphAwayError,
    GraphConditionError,
    StepFailedError,
    StepTimeoutError,
    WaitTimeoutError,
    WorkflowError,
)
from argosy.extras import explained
from argosy.workflow.context import Context
from argosy.workflow.current import StepInfo, step_info
from argosy.workflow.definition import step, workflow
from argosy.workflow.emit import emit
from argosy.workflow.graph import Graph, SyncGraph
from argosy.workflow.mapping import TopicRecord, mapping
from argosy.workflow.step_graph import graph
from argosy.workflow.sync_context import SyncContext

if TYPE_CHECKING:
    from argosy.client import AsyncClient, Client
    from argosy.local.in_process import Argosy

# These are imported on first use: a worker needs no HTTP client, and a client needs no database.
_LATER = {"Argosy": "argosy.local.in_process", "AsyncClient": "argosy.client", "Client": "argosy.client"}

__all__ = [
    "Argosy",
    "ArgosyError",
    "AsyncClient",
    "Client",
    "Context",
    "EffectNotStartedError",
    "Graph",
    "GraphAwayError",
    "GraphConditionError",
    "StepFailedError",
    "StepInfo",
    "StepTimeoutError",
    "SyncContext",
    "SyncGraph",
    "TopicRecord",
    "WaitTimeoutError",
    "WorkflowError",
    "emit",
    "graph",
    "mapping",
    "step",
    "step_info",
    "workflow",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(_LATER[name]), name)
    except ModuleNotFoundError as error:
        if (reason := explained(error)) is None:
            raise
        raise reason from error


def __dir__() -> list[str]:
    return __all__
