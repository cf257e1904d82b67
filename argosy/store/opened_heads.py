"""What a worker reads about its turns, with the payloads opened (argosy/seal).

A turn with a payload that does not open comes without its payloads, as one that is too large does; `fault` says why. A
due row or a signal that does not open has the kind UNREADABLE, which no rule knows: so it stays due.

Raises: StoreUnavailableError
"""

import contextlib
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from argosy.seal.codec import Opener, Value
from argosy.seal.envelope import is_sealed
from argosy.seal.errors import PayloadUnreadableError
from argosy.seal.places import event_of, input_of, outcome_of, signal_of
from argosy.store.build import Borrowed, Loans
from argosy.store.head import DueRow, Head, Heads, LoadedTurn, SentSignal, SignalRow
from argosy.store.pool import Pool
from argosy.turn.inbox import Queue, RowKind

UNREADABLE: Final = "unreadable"  # no kind of a row


class OpenedHeads(Heads):
    """The reads of one lane, opened by what the pool has for that."""

    async def load_heads(self, bucket: int, after: uuid.UUID, last_bucket: int, limit: int) -> list[Head]:
        return await _opened_heads(self._pool, await super().load_heads(bucket, after, last_bucket, limit))

    async def load_sessions(self, sessions: Sequence[tuple[int, uuid.UUID]], limit: int) -> list[Head]:
        return await _opened_heads(self._pool, await super().load_sessions(sessions, limit))

    async def load_turns(self, turn_ids: Sequence[uuid.UUID]) -> list[LoadedTurn]:
        return await _opened_turns(self._pool, await super().load_turns(turn_ids))

    async def load_suspended(self, turn_ids: Sequence[uuid.UUID], events_max: int) -> list[LoadedTurn]:
        found = await _opened_turns(self._pool, await super().load_suspended(turn_ids, events_max))
        return [each for each in found if not each.fault]

    async def load_whole(self, turn_id: uuid.UUID) -> LoadedTurn | None:
        row = await super().load_whole(turn_id)
        return None if row is None else (await _opened_turns(self._pool, [row]))[0]

    async def await_signals(self, turn_ids: Sequence[uuid.UUID]) -> list[SentSignal]:
        rows = await super().await_signals(turn_ids)
        if not any(is_sealed(each.payload) for each in rows):
            return rows
        opener = await self._pool.seals.opener((each.tenant, each.payload) for each in rows)
        found = []
        for each in rows:
            with contextlib.suppress(PayloadUnreadableError):  # it stays due
                payload = _opened(opener, each.tenant, each.payload, signal_of(each.tenant, each.inbox_id, each.name))
                found.append(each._replace(payload=payload))
        return found

    async def due_inbox(
        self,
        ranges: Sequence[tuple[int, int]],
        known: Collection[uuid.UUID],
        rows_max: Mapping[Queue, int],
        size_bytes_max: int,
    ) -> list[DueRow]:
        return await _opened_due(self._pool, await super().due_inbox(ranges, known, rows_max, size_bytes_max))

    async def due_of_turns(
        self, turn_ids: Sequence[uuid.UUID], known: Collection[uuid.UUID], rows_max: int, size_bytes_max: int
    ) -> list[DueRow]:
        return await _opened_due(self._pool, await super().due_of_turns(turn_ids, known, rows_max, size_bytes_max))


class OpenedLoans(Loans):
    """The turns that one worker lends and borrows, opened by what the pool has for that."""

    async def borrowed(self, known: Sequence[uuid.UUID], limit: int) -> list[Borrowed]:
        rows = await super().borrowed(known, limit)
        heads = await _opened_heads(self._pool, [each.head for each in rows])
        return [each._replace(head=head) for each, head in zip(rows, heads, strict=True)]

    async def due(
        self, turn_ids: Sequence[uuid.UUID], known: Sequence[uuid.UUID], rows_max: int, size_bytes_max: int
    ) -> list[DueRow]:
        return await _opened_due(self._pool, await super().due(turn_ids, known, rows_max, size_bytes_max))


def _opened(opener: Opener, tenant: str, value: bytes | None, place: bytes) -> bytes | None:
    return None if value is None else opener.open(tenant, value, place)


async def _opened_heads(pool: Pool, heads: list[Head]) -> list[Head]:
    """Open the inputs. One that does not open is left out, as one that is too large: it is read with the history."""
    if not any(is_sealed(each.input) for each in heads):
        return heads
    opener = await pool.seals.opener((each.tenant, each.input) for each in heads)
    found = []
    for each in heads:
        try:
            opened = _opened(opener, each.tenant, each.input, input_of(each.tenant, each.turn_id))
        except PayloadUnreadableError:
            opened = None
        found.append(each._replace(input=opened))
    return found


def _values(turn: LoadedTurn) -> Iterator[Value]:
    yield turn.tenant, turn.input
    for event in turn.events or ():
        yield turn.tenant, event[4]
    for signal in turn.signals:
        yield turn.tenant, signal[2]
    for result in turn.results or ():
        yield turn.tenant, result[3]


async def _opened_turns(pool: Pool, turns: list[LoadedTurn]) -> list[LoadedTurn]:
    values = [value for turn in turns for value in _values(turn)]
    if not any(is_sealed(value) for _, value in values):
        return turns
    opener = await pool.seals.opener(values)
    return [_opened_turn(opener, turn) for turn in turns]


def _opened_turn(opener: Opener, turn: LoadedTurn) -> LoadedTurn:
    tenant, turn_id = turn.tenant, turn.turn_id
    try:
        return turn._replace(
            input=_opened(opener, tenant, turn.input, input_of(tenant, turn_id)),
            events=None
            if turn.events is None
            else [
                (seq, attempt, kind, key, opener.open(tenant, data, event_of(tenant, turn_id, seq)))
                for seq, attempt, kind, key, data in turn.events
            ],
            signals=[
                (inbox_id, name, _opened(opener, tenant, payload, signal_of(tenant, inbox_id, name)))
                for inbox_id, name, payload in turn.signals
            ],
            results=None
            if turn.results is None
            else [
                (inbox_id, kind, key, opener.open(tenant, data, outcome_of(tenant, turn_id, key)))
                for inbox_id, kind, key, data in turn.results
            ],
        )
    except PayloadUnreadableError as error:
        signals: list[SignalRow] = [(inbox_id, name, None) for inbox_id, name, _ in turn.signals]
        return turn._replace(input=None, events=None, signals=signals, results=None, fault=str(error))


async def _opened_due(pool: Pool, rows: list[DueRow]) -> list[DueRow]:
    """Open the payloads of rows whose turn is here: of others nothing is read."""
    sealed = [each for each in rows if is_sealed(each.payload) and _tenant_of(each) is not None]
    if not sealed:
        return rows
    opener = await pool.seals.opener((_tenant_of(each) or "", each.payload) for each in sealed)
    return [_opened_row(opener, each) if is_sealed(each.payload) else each for each in rows]


def _tenant_of(row: DueRow) -> str | None:
    return row.tenant if row.head is None else row.head.tenant


def _opened_row(opener: Opener, row: DueRow) -> DueRow:
    tenant = _tenant_of(row)
    if tenant is None:
        return row
    if row.kind == RowKind.STEP_RESULT:
        place = outcome_of(tenant, row.turn_id, row.correlation)
    else:
        place = signal_of(tenant, row.inbox_id, row.name)
    try:
        return row._replace(payload=_opened(opener, tenant, row.payload, place))
    except PayloadUnreadableError:
        return row._replace(kind=UNREADABLE)
