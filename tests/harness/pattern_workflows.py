"""The examples of docs/workflows.md and agent loops of frameworks, as workers of the tests run them: each step says
that it begins, in the file PATTERNS_TOLD. Beside them some bad habits, which harm nobody else.
"""

import functools
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

from argosy import Context, crash_points, step_info, workflow
from examples import patterns
from examples.patterns import (
    alarm,
    arrivals,
    branches,
    cause,
    deadline,
    errors,
    exits,
    first,
    group,
    interruptible,
    messages,
    patient,
    plain,
    reminders,
    stop_button,
    team,
    tidy,
    variables,
)
from tests.harness import agents
from tests.harness.agents import agent_of_anyio, agent_of_events, agent_of_nodes

__all__ = ["agent_of_anyio", "agent_of_events", "agent_of_nodes"]
__all__ += ["alarm", "arrivals", "branches", "cause", "deadline", "errors", "exits", "first", "group", "interruptible"]
__all__ += ["messages", "patient", "plain", "reminders", "stop_button", "team", "tidy", "variables"]


def _told(function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(function)
    async def told(*args: Any, **kwargs: Any) -> Any:
        info = step_info()
        crash_points.reach("before_effect")
        line = json.dumps([str(info.turn_id), info.step_key, info.attempt])
        # One write per line, so that lines of several workers do not mix.
        with open(os.environ["PATTERNS_TOLD"], "ab", buffering=0) as file:  # noqa: ASYNC230, PTH123 — a local file
            file.write(line.encode() + b"\n")
        result = await function(*args, **kwargs)
        crash_points.reach("after_effect")
        return result

    return told


if "PATTERNS_TOLD" in os.environ:
    for _module, _steps in (
        (patterns, ("ask", "fail", "report", "think", "load_profile", "log_in")),
        (agents, ("model", "tool", "judge")),
    ):
        for _name in _steps:
            setattr(_module, _name, _told(getattr(_module, _name)))


@workflow
async def stubborn(ctx: Context) -> Any:
    """Catches everything."""
    while True:
        try:
            return await ctx.wait_signal("go")
        except BaseException:  # noqa: S112 — that is the habit
            continue


@workflow
def stubborn_thread(ctx: Any) -> Any:
    """Catches everything, in a thread."""
    while True:
        try:
            return ctx.wait_signal("go")
        except BaseException:  # noqa: S112 — that is the habit
            continue
