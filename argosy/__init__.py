"""Argosy: durable execution of agent sessions. What a workflow's author imports."""

from argosy.errors import ArgosyError, StepFailedError, StepTimeoutError, WaitTimeoutError
from argosy.workflow.context import Context
from argosy.workflow.definition import step, workflow
from argosy.workflow.info import StepInfo, step_info

__all__ = [
    "ArgosyError",
    "Context",
    "StepFailedError",
    "StepInfo",
    "StepTimeoutError",
    "WaitTimeoutError",
    "step",
    "step_info",
    "workflow",
]
