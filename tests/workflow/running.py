"""Runs a workflow against a list journal, as a worker would."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import msgspec

from argosy.workflow.definition import workflow, workflow_of
from argosy.workflow.execute import execute
from argosy.workflow.threads import make_threads
from tests.workflow.fixed_random import FixedRandom
from tests.workflow.list_journal import ListJournal

SIZE_BYTES_MAX = 4_096


async def run(
    function: Callable[..., Any], value: Any = None, journal: ListJournal | None = None, **options: Any
) -> Any:
    """The workflow's decoded result. function: a workflow, or a function that is declared as one here."""
    definition = workflow_of(function) or workflow_of(workflow(function))
    assert definition is not None
    with contextlib.closing(make_threads(steps=4, workflows=4, abandoned_max=4)) as threads:
        given: dict[str, Any] = {
            "threads": threads,
            "payload_size_bytes_max": SIZE_BYTES_MAX,
            "random": FixedRandom(0.5),
            **options,
        }
        result = await asyncio.wait_for(
            execute(definition, journal or ListJournal(), msgspec.json.encode(value), **given), 10
        )
    return msgspec.json.decode(result)


class BankError(Exception):
    """What user code raises."""
