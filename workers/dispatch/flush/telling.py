"""Tells the other parts of the worker what a flush has made durable."""

import asyncio
import uuid
from collections.abc import Callable
from typing import NamedTuple

from argosy.rounds import Rounds
from argosy.store.numbered_stream import Answer
from argosy.workers.dispatch.flush.batch import Batch, Placement
from argosy.workers.dispatch.flush.flush_entry import Entry
from argosy.workers.dispatch.turn import Turn


class Telling(NamedTuple):
    """The callbacks after a flush. An error of one (but Fault.END) is logged, and the others are called anyway."""

    rounds: Rounds
    on_events: Callable[[Answer, list[Entry]], None]
    on_timers: Callable[[list[float]], None]
    on_moved: Callable[[list[uuid.UUID]], None]
    on_placed: Callable[[list[Placement]], None]
    on_written: Callable[[list[Turn]], None]

    async def tell(self, written: Batch, answer: Answer) -> None:
        entries, moves, placements = written
        with self.rounds.outlive():
            self.on_events(answer, entries)
        await asyncio.sleep(0)  # followers hear of the events before anything that the flush sets going
        if timers := [row.due_s for entry in entries for row in entry.inbox.values()]:
            with self.rounds.outlive():
                self.on_timers(timers)
        moved = [move.inbox_id for move in moves]
        for entry in entries:
            moved.extend(entry.moves)
        if moved:
            with self.rounds.outlive():
                self.on_moved(moved)
        if placements:
            with self.rounds.outlive():
                self.on_placed(placements)
        with self.rounds.outlive():
            self.on_written([entry.turn for entry in entries if not entry.has_rest])
