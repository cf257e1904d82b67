"""Argosy: durable execution of agent sessions. What a workflow's author imports."""

from argosy.errors import (
    ArgosyError,
    EffectNotStartedError,
    StepFailedError,
    StepTimeoutError,
    WaitTimeoutError,
    WorkflowError,
)
from argosy.workflow.context import Context
from argosy.workflow.definition import step, workflow
from argosy.workflow.emit import emit
from argosy.workflow.info import StepInfo, step_info
from argosy.workflow.sync_context import SyncContext

__all__ = [
    "ArgosyError",
    "Context",
    "EffectNotStartedError",
    "StepFailedError",
    "StepInfo",
    "StepTimeoutError",
    "SyncContext",
    "WaitTimeoutError",
    "WorkflowError",
    "emit",
    "step",
    "step_info",
    "workflow",
]
