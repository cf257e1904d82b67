"""Reads suspended turns while a signal to them is being written.

A gateway that writes a signal pokes the owner first (a hint, as every poke). The owner reads the turn, and at the same
time awaits the signal's commit in Postgres, so the turn goes on some milliseconds sooner than if the owner read it
after the commit. Only a suspended turn that waits for this very signal is woken here. `Inbox` finds everything else
when it is due, and also what is missed here.

The turn may be read before the signal is committed. That does no harm: only this process changes the turn and its inbox
rows, and it knows when it did so meanwhile (scheduling/reads.py). Then it leaves the signal to `Inbox`: the turn was in
memory and left, `Inbox` took a row of it (a signal that was buffered then would be missing in what was read here, and
nothing would look at it again), or its partition was claimed anew.
"""

import asyncio
import uuid
from collections.abc import Iterable
from itertools import islice
from typing import Final, Protocol

from argosy import ids
from argosy.clock import Clock
from argosy.rounds import Rounds
from argosy.store.head import DueRow, Heads, LoadedTurn, SentSignal
from argosy.turn.inbox import RowKind
from argosy.turn.status import Status
from argosy.workers.dispatch.claims import Claims
from argosy.workers.dispatch.elsewhere import Elsewhere
from argosy.workers.dispatch.inbox.inbox_rule import waits_for
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.scheduling.scheduler import Scheduler

_TURNS_MAX: Final = 64  # in one read; Inbox finds the others when their rows are due
# Turns with more events are not read ahead: nothing shows yet that the turn takes the signal.
_EVENTS_MAX: Final = 100


class AfterReadAhead(Protocol):
    """What ReadAhead tells."""

    def after_reading_ahead(self, row: DueRow, owned: Owned) -> None:
        """A signal was read with its turn, which waits for it."""


class ReadAhead:
    """Wakes turns for signals that Inbox has not read yet; `run` goes on until it is cancelled."""

    def __init__(
        self,
        heads: Heads,
        scheduler: Scheduler,
        elsewhere: Elsewhere,
        claims: Claims,
        clock: Clock,
        then: AfterReadAhead,
    ) -> None:
        self._rounds = Rounds("read ahead", clock)
        self._heads = heads
        self._scheduler = scheduler
        self._elsewhere = elsewhere
        self._claims = claims
        self._then = then
        self._named: set[tuple[str, uuid.UUID]] = set()
        self._work = asyncio.Event()

    def poke(self, turns: Iterable[tuple[str, uuid.UUID]]) -> None:
        """Read at once the signals that are being written to these turns (tenant, turn_id). A hint: it may come twice
        or never, and the turn may be another owner's, or not that tenant's.
        """
        self._named.update(islice(turns, _TURNS_MAX - len(self._named)))
        self._work.set()

    async def run(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            async with self._rounds:  # Inbox finds what is missed when it is due
                await self.read()

    async def read(self) -> None:
        """Read the turns that were named, and wake those that can go on."""
        asked = set(self._named)
        self._named.clear()
        claims = {each: self._claim_of(each) for _, each in asked if each not in self._scheduler.live}
        named = [turn_id for turn_id, owned in claims.items() if owned is not None]
        if not named:
            return
        with self._scheduler.reads.begin() as read:
            signals, turns = await asyncio.gather(
                self._heads.await_signals(named), self._heads.load_suspended(named, _EVENTS_MAX)
            )
        sent: dict[uuid.UUID, list[SentSignal]] = {}
        for signal in signals:
            sent.setdefault(signal.turn_id, []).append(signal)
        for turn in turns:
            owned = claims[turn.turn_id]
            is_changed = turn.turn_id in read.left or turn.turn_id in read.taken
            is_as_read = not is_changed and self._claim_of(turn.turn_id) is owned
            if owned is not None and is_as_read and turn.turn_id in sent and (turn.tenant, turn.turn_id) in asked:
                self._wake(turn, owned, sent[turn.turn_id])

    def _claim_of(self, turn_id: uuid.UUID) -> Owned | None:
        return self._claims.serving(ids.turn_bucket(turn_id))

    def _wake(self, turn: LoadedTurn, owned: Owned, signals: list[SentSignal]) -> None:
        is_free = turn.turn_id not in self._scheduler.live and not self._elsewhere.is_held(turn.turn_id)
        if turn.status != Status.SUSPENDED or not is_free:
            return
        known = {signal[0] for signal in turn.signals}
        turn.signals.extend((each.inbox_id, each.name, each.payload) for each in signals if each.inbox_id not in known)
        for each in signals:
            sent = (each.inbox_id, each.turn_id, each.bucket, RowKind.SIGNAL, each.name, "", each.payload)
            row = DueRow(*sent, turn.waits, turn)
            if waits_for(turn.waits, row):
                self._then.after_reading_ahead(row, owned)
                return
