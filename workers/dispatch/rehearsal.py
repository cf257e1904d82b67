"""A rehearsal of a takeover: runs its statements once, before there is anything to take over.

A backend of Postgres looks up its tables and plans a statement when it first runs it. With the opening of the
connection that took 60 to 100 ms of the time for which sessions wait when a partition changes hands (measured by
bench/stall.py). The rehearsal writes nothing: its partitions have an epoch that no claim ever gives.
"""

import asyncio
import uuid
from typing import Final

from argosy.ids import buckets_of
from argosy.store.head import Heads
from argosy.store.numbered_stream import NumberedStream
from argosy.store.partition import Partitions
from argosy.turn.events import Event
from argosy.turn.inbox import Queue, RowKind
from argosy.turn.status import Status
from argosy.workers.dispatch.accept import accept_arrays
from argosy.workers.dispatch.accept.accept_arrays import AcceptArrays
from argosy.workers.dispatch.flush import flush_entry
from argosy.workers.dispatch.flush.flush_entry import FlushArrays, FlushEntry
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.turn import Turn
from argosy.workers.dispatch.writes import InboxWrite

_NOBODYS_EPOCH: Final = 0  # a CHECK of the table partitions keeps every real epoch above 0


async def rehearse(
    lane: str, accepts: NumberedStream, flushes: NumberedStream, partitions: Partitions, heads: Heads
) -> None:
    """Run the statements, once, before the log makes this process eligible for anything.

    The reads run at the same time, each on a connection of its own from the pool. Raises StoreUnavailableError for the
    reads; the calls of the two streams of flushes wait for Postgres instead.
    """
    await asyncio.gather(
        accepts.call(accept_arrays.STATEMENT, *_accept(lane).arguments()),
        flushes.call(flush_entry.STATEMENT, *_flush(lane).arguments()),
        partitions.notes([]),
        partitions.crashes([], []),
        partitions.open_positions("", {}),
        heads.load_heads(0, uuid.UUID(int=0), 0, 1),
        heads.due_inbox([(0, 0)], [], dict.fromkeys(Queue, 1), 1),
        heads.load_turns([]),
    )


def _nobodys() -> Owned:
    return Owned(0, _NOBODYS_EPOCH, buckets_of(0, 1))


def _accept(lane: str) -> AcceptArrays:
    arrays = AcceptArrays(lane, "", 0)
    arrays.add_partition(_nobodys(), 0, None)
    return arrays


def _flush(lane: str) -> FlushArrays:
    turn = Turn(
        owned=_nobodys(),
        turn_id=uuid.uuid4(),
        tenant="",
        session_id=uuid.uuid4(),
        session_name="",
        bucket=0,
        place=0,
        workflow="",
        priority=0,
        input=b"",
    )
    turn.begin_attempt()
    turn.become(Status.RUNNING)
    turn.end(Status.COMPLETED)
    turn.write(Event.TURN_COMPLETED)
    timer_id = uuid.uuid4()
    turn.add_row(InboxWrite(timer_id, RowKind.TIMER, "", "", None, 0.0))
    arrays = FlushArrays(lane)
    arrays.add(FlushEntry(turn))
    return arrays
