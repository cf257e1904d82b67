"""The files that a turn enters from poll to end, one by one: who reads what happens to a turn reads these.

Counted is a turn with one step that nobody follows. Scripts stand around the worker (joined_parts.py): the adapter of a
log, which hands over the batch, and the stream to Postgres are not entered.
"""

import asyncio
import gc
import sys
from pathlib import Path
from types import FrameType
from typing import Any, Final

from argosy import Context, ids, record, step
from argosy.identity.turn_principal import LOCAL
from argosy.log import Batch, Record
from argosy.store.numbered_stream import Answer
from argosy.workflow.definition import Workflow
from tests.dispatch.joined_parts import OneWorkflow, Parts, until

ROOT: Final = Path(__file__).parents[2]

# 30 files. A file that is added here is one more for every reader.
JOURNEY: Final = {
    # the records become turns
    "workers/dispatch/accept/accept_arrays.py",
    "workers/dispatch/accept/backlog.py",
    "workers/dispatch/accept/intake.py",
    # what follows from what
    "workers/dispatch/dispatcher.py",
    # which turn is next
    "workers/dispatch/scheduling/reads.py",
    "workers/dispatch/scheduling/scheduler.py",
    # the turn in memory
    "argosy/turn/transitions.py",
    "workers/dispatch/owned.py",
    "workers/dispatch/turn.py",
    "workers/dispatch/turn_row.py",
    # it is given a slot
    "workers/dispatch/execution/admission.py",
    "workers/dispatch/execution/attempts.py",
    "workers/dispatch/execution/executor.py",
    "workers/dispatch/execution/journal.py",
    "workers/dispatch/execution/turn_change.py",
    # its code runs
    "argosy/workflow/context.py",
    "argosy/workflow/driver.py",
    "argosy/workflow/execute.py",
    "argosy/workflow/open_attempt.py",
    "argosy/workflow/operation.py",
    "argosy/workflow/operations.py",
    "argosy/workflow/outcome.py",
    "argosy/workflow/payload.py",
    "argosy/workflow/replay.py",
    "argosy/workflow/root_task.py",
    "argosy/workflow/step_runner.py",
    "argosy/workflow/turn_loop.py",
    # what it wrote is committed
    "workers/dispatch/flush/flush_entry.py",
    "workers/dispatch/flush/flush_queue.py",
    "workers/dispatch/flush/flusher.py",
}
# 20 more, entered and left at once; they know nothing of turns in memory. What each is for.
TOOLS: Final = {
    "argosy/clock.py": "the clock that is injected",
    "argosy/consuming/continuity.py": "whether a batch leaves anything out",
    "argosy/crash_points.py": "where tests end the process",
    "argosy/identity/turn_principal.py": "who posted it",
    "argosy/ids.py": "ids and buckets",
    "argosy/json_text.py": "what JSON is sound",
    "argosy/log.py": "the contract of a log: tuples",
    "argosy/names.py": "what names may be",
    "argosy/record.py": "the form of a record",
    "argosy/rounds.py": "rounds of a loop that must not end",
    "argosy/seal/envelope.py": "payloads at rest",
    "argosy/store/columns.py": "rows as columns",
    "argosy/store/row_uuid.py": "UUIDs, quickly",
    "argosy/tally.py": "counters",
    "workers/dispatch/accept/aside.py": "records that are kept aside",
    "workers/dispatch/accept/record_payloads.py": "sealed payloads of records",
    "workers/dispatch/claims.py": "which partition a bucket is of",
    "workers/dispatch/database_clock.py": "the database's time",
    "workers/dispatch/flush/sealed_entry.py": "sealed payloads of flushes",
    "workers/dispatch/turn_times.py": "how long turns take",
}


@step
async def one(number: int) -> int:
    return number


async def flow(context: Context, number: int) -> Any:
    return await context.run(one, number)


class Entered:
    """The files of the product of which code runs while it is open, but for what the garbage collector calls."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self._known: dict[str, str] = {}

    def __enter__(self) -> set[str]:
        gc.disable()
        sys.setprofile(self._note)
        return self.files

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        gc.enable()

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        if event != "call":
            return
        name = frame.f_code.co_filename
        if name not in self._known:
            path = Path(name).resolve()
            is_ours = path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in ("argosy", "workers")
            self._known[name] = str(path.relative_to(ROOT)) if is_ours else ""
        if self._known[name]:
            self.files.add(self._known[name])


async def test_the_files_that_a_turn_enters_from_poll_to_end() -> None:
    session_id = ids.session_id_of("default", "default", "journey")
    turn_id = ids.TurnIdMint("default", "default").mint(ids.bucket_of(session_id))
    asked = record.encode(
        record.TurnRequested(turn_id.bytes, "default", "default", "journey", "w", b"1", created_by=LOCAL)
    )
    async with Parts(OneWorkflow(Workflow("w", "1", "", flow, True, True, False))) as parts:
        answers = parts.accepts.call

        async def place(*arguments: Any, void: Any = None) -> Answer:
            answer = await answers(*arguments, void=void)
            return answer._replace(held=[True], places=[1], heads=[True])

        parts.accepts.call = place
        owned = parts.owned[0]
        parts.intake.restart(owned)
        parts.tasks.append(asyncio.create_task(parts.intake.run()))
        for _ in range(3):  # passes in which the loops begin, some by loops that began before them
            await asyncio.sleep(0)
        with Entered() as files:
            parts.intake.take(Batch(0, owned.reading_no, [Record(0, 0, None, asked, ())], 0, 1, True))
            await until(lambda: parts.stream.calls and turn_id not in parts.scheduler.live)

    assert files - TOOLS.keys() == JOURNEY
    assert TOOLS.keys() - files == set()
