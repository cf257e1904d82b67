"""The files that a turn enters from poll to end, one by one: who reads what happens to a turn reads these.

Counted is a turn with one step that nobody follows. Scripts stand around the worker (joined_parts.py), so the adapter of
the log and the stream to Postgres are not counted.
"""

import asyncio
import sys
from pathlib import Path
from types import FrameType
from typing import Any, Final

from argosy import Context, ids, record, step
from argosy.log import Batch, Record
from argosy.store.numbered_stream import Answer
from argosy.workflow.definition import Workflow
from tests.dispatch.joined_parts import Parts, until

ROOT: Final = Path(__file__).parents[2]


@step
async def one(number: int) -> int:
    return number


async def flow(context: Context, number: int) -> Any:
    return await context.run(one, number)


class Flow:
    """A catalog of one workflow."""

    definition = Workflow("w", "1", "", flow, True, True, False)

    def get(self, workflow: str, version: str | None) -> Workflow:
        return self.definition


class Entered:
    """The product's files of which code runs while it is open."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self._known: dict[str, str] = {}

    def __enter__(self) -> set[str]:
        sys.setprofile(self._note)
        return self.files

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

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
    session_id = ids.session_id_of("default", "default", "s")
    turn_id = ids.TurnIdMint("default", "default").mint(ids.bucket_of(session_id))
    asked = record.encode(record.TurnRequested(turn_id.bytes, "default", "default", "s", "w", b"1"))
    async with Parts(Flow()) as parts:
        answers = parts.outside.accepts.call

        async def place(*arguments: Any, void: Any = None) -> Answer:
            answer: Answer = await answers(*arguments, void=void)
            return answer._replace(held=[True], places=[1], heads=[True])

        parts.outside.accepts.call = place
        owned = parts.owned[0]
        parts.intake.restart(owned)
        parts.tasks.append(asyncio.create_task(parts.intake.run()))
        await asyncio.sleep(0)
        with Entered() as files:
            parts.intake.take(Batch(0, owned.reading_no, [Record(0, 0, None, asked, ())], 0, 1, True))
            await until(lambda: parts.stream.calls and turn_id not in parts.scheduler.live)

    print(len(files), *sorted(files), sep="\n")
    assert files == set()
