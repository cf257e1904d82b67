"""Suspended turns to which a signal is being written at this moment: read while that is done.

Whoever sends the signal says so first (a hint, as every poke). The turn is read, and beside it, in Postgres, the commit
of the signal is waited for: the turn goes on some milliseconds sooner than if it were read once all of that is known.
Only a suspended turn that waits for just this signal is woken; everything else is found by `Inbox` when it is due, and
so is what was missed here.

The turn may have been read before the signal was committed. That does no harm: what it is in Postgres, and what becomes
of its rows, changes by this process alone, and whether it did meanwhile is known: it was in memory (`Scheduler.watch`),
`Inbox` took a row of it (`touched`; a signal that was buffered then would be missing here, and nobody would look at it
again), or its partition was claimed anew.
"""

import asyncio
import uuid
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final

from argosy import ids
from argosy.rounds import Rounds
from argosy.store.head import DueRow, Heads, LoadedTurn, SentSignal
from argosy.turn.status import Status
from argosy.workers.dispatch.inbox.inbox_rule import waits_for
from argosy.workers.dispatch.ownership.takeover import Takeover
from argosy.workers.dispatch.scheduling.scheduler import Scheduler
from argosy.workers.dispatch.turn import Owned

_TURNS_MAX: Final = 64  # for one read; the others are found when they are due
# What a signal may cause to be read before anybody knows whether it is taken.
_EVENTS_MAX: Final = 100


class ReadAhead:
    """owned_of(bucket): the claim under which rows are taken, None when they are not; take: the rule for a due row."""

    def __init__(
        self,
        heads: Heads,
        scheduler: Scheduler,
        takeover: Takeover,
        owned_of: Callable[[int], Owned | None],
        take: Callable[[DueRow, Owned], None],
        rounds: Rounds,
    ) -> None:
        self._rounds = rounds
        self._heads = heads
        self._scheduler = scheduler
        self._takeover = takeover
        self._owned_of = owned_of
        self._take = take
        self._named: set[tuple[str, uuid.UUID]] = set()
        # While something is read; None otherwise.
        self._touched: set[uuid.UUID] | None = None
        self._work = asyncio.Event()

    def poke(self, turns: Iterable[tuple[str, uuid.UUID]]) -> None:
        """Signals to these turns are being written. They may be anybody's, whatever tenant is named, and named twice or
        never.
        """
        self._named.update(islice(turns, _TURNS_MAX - len(self._named)))
        self._work.set()

    def touched(self, turn_id: uuid.UUID) -> None:
        """A row of a turn that is not in memory was taken: what is being read of it may be older than that."""
        if self._touched is not None:
            self._touched.add(turn_id)

    async def run(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            async with self._rounds:  # what was missed is found when it is due
                await self.read()

    async def read(self) -> None:
        """Read what was named, and wake what can go on."""
        asked = set(self._named)
        self._named.clear()
        claims = {each: self._claim_of(each) for _, each in asked if each not in self._scheduler.live}
        named = [turn_id for turn_id, owned in claims.items() if owned is not None]
        if not named:
            return
        touched = self._touched = set()
        try:
            with self._scheduler.watch() as departed:
                signals, turns = await asyncio.gather(
                    self._heads.await_signals(named), self._heads.load_suspended(named, _EVENTS_MAX)
                )
        finally:
            self._touched = None
        sent: dict[uuid.UUID, list[SentSignal]] = {}
        for signal in signals:
            sent.setdefault(signal.turn_id, []).append(signal)
        for turn in turns:
            owned = claims[turn.turn_id]
            is_as_read = turn.turn_id not in departed | touched and self._claim_of(turn.turn_id) is owned
            if owned is not None and is_as_read and turn.turn_id in sent and (turn.tenant, turn.turn_id) in asked:
                self._wake(turn, owned, sent[turn.turn_id])

    def _claim_of(self, turn_id: uuid.UUID) -> Owned | None:
        return self._owned_of(ids.turn_bucket(turn_id))

    def _wake(self, turn: LoadedTurn, owned: Owned, signals: list[SentSignal]) -> None:
        is_free = turn.turn_id not in self._scheduler.live and not self._takeover.is_held(turn.turn_id)
        if turn.status != Status.SUSPENDED or not is_free:
            return
        known = {signal[0] for signal in turn.signals}
        turn.signals.extend((each.inbox_id, each.name, each.payload) for each in signals if each.inbox_id not in known)
        for each in signals:
            sent = (each.inbox_id, each.turn_id, each.bucket, "signal", each.name, "", each.payload)
            row = DueRow(*sent, turn.waits, turn)
            if waits_for(turn.waits, row):
                self._take(row, owned)
                return
