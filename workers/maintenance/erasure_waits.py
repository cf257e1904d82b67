"""What erasures wait for, in the log and as metrics."""

import uuid
from collections.abc import Sequence
from typing import Final

import structlog

from argosy import telemetry
from argosy.erasure import Stage, late_words
from argosy.store.erasure import ErasureRow, WaitingErasures

log = structlog.get_logger()

_SAID_MAX: Final = 1_000  # erasures of which it is remembered what was said


class ErasureWaits:
    """Says of each erasure, once in each stage, what it waits for, and that this takes long. late_s: ERASURE_LATE_S."""

    def __init__(self, late_s: float) -> None:
        self._late_s = late_s
        self._said: dict[uuid.UUID, tuple[Stage, bool]] = {}

    def say(self, row: ErasureRow, why: str) -> None:
        """An erasure cannot go on now."""
        is_late = row.waits_for == why and row.quiet_s > self._late_s
        if self._said.get(row.erasure_id) in ((row.stage, is_late), (row.stage, True)):
            return
        self._said.pop(row.erasure_id, None)
        self._said[row.erasure_id] = (row.stage, is_late)
        while len(self._said) > _SAID_MAX:
            del self._said[next(iter(self._said))]
        about = {"erasure": str(row.erasure_id), "kind": row.kind.value, "stage": row.stage.value}
        if is_late:
            why = late_words(row.stage, why, row.changed_at, self._late_s)
            log.warning(telemetry.ERASURE_LATE, **about, waits_for=why)
        else:
            log.info(telemetry.ERASURE_WAITS, **about, waits_for=why)

    def measure(self, waiting: Sequence[WaitingErasures]) -> None:
        counted = {each.stage: each.erasures for each in waiting}
        for stage in Stage:
            if stage is not Stage.DONE:
                telemetry.ERASURES_WAITING.labels(stage=stage.value).set(counted.get(stage, 0))
        telemetry.ERASURES_WAITING_S.set(max((each.quiet_s for each in waiting), default=0.0))
