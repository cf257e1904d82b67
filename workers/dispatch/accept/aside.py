"""The records of one accept that become no turns: what is said of each that is kept, and whose followers are told."""

import contextlib
import uuid
from collections.abc import Sequence
from typing import NamedTuple

import structlog

from argosy import record, telemetry
from argosy.errors import RecordError
from argosy.log import Record
from argosy.rounds import Rounds
from argosy.workers.dispatch.owned import Owned

log = structlog.get_logger()


class _Left(NamedTuple):
    owned: Owned
    entry: Record
    error: RecordError


class Aside:
    """Such records, in the order of the dead letters of the call."""

    def __init__(self) -> None:
        self._left: list[_Left] = []

    def add(self, owned: Owned, each: Record, error: RecordError) -> None:
        self._left.append(_Left(owned, each, error))

    def say(self, are_kept: Sequence[bool] | None) -> None:
        """Say which ones are kept, once that is committed. are_kept: as `accept` answers, in order; None: all. What is
        not kept is the record of a turn that is there. Of a partition that was lost the next owner says it.
        """
        for number, each in enumerate(self._left):
            if each.owned.is_void or (are_kept is not None and not are_kept[number]):
                continue
            telemetry.DEAD_LETTERS.labels(code=each.error.code).inc()
            where = {"partition": each.owned.partition, "position": each.entry.position}
            log.warning(telemetry.RECORD_KEPT_ASIDE, **where, reason=str(each.error))

    def turn_ids(self, rounds: Rounds) -> list[uuid.UUID]:
        """Return the ids of those that can be decoded and that a gateway wrote: clients may follow them."""
        turn_ids: list[uuid.UUID] = []
        for each in (one.entry for one in self._left if one.entry.fault is None):
            with contextlib.suppress(RecordError), rounds.outlive():
                turn_ids.append(uuid.UUID(bytes=record.decode(each.value).turn_id))
        return turn_ids
