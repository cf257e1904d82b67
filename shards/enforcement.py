"""Whether a shard enforces access control lists (KG_BRAIN_ENFORCE), and whether those who ask it do.

Rules:
- Who asks and enforces lists says so with each call that is not the fleet's own (Asker.enforced). A shard that does
  not enforce them refuses it: what a list denies must not be served because one process was set up otherwise.
- A shard that enforces refuses who says not who asks, which every process says that knows it (KG_AUTH_REQUIRED).
- Neither is a denial: it is a fleet that was set up by halves. So callers get ListsDisagreeError, which says that an
  operator has to act, and turns wait for that. The shard says it once as a log event, and at /readyz while it goes on.
"""

from typing import Final

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.errors import ListsDisagreeError
from argosy.graph.asker import Asker

log = structlog.get_logger()

_SHOWN_S: Final = 60.0  # after the last call that was refused
_NOT_HERE: Final = (
    "whoever asks enforces access control lists, and this shard does not: set KG_BRAIN_ENFORCE=1 and "
    "KG_AUTH_REQUIRED=1 for the shard"
)
_NOT_THERE: Final = (
    "this shard enforces access control lists, and the call says not who asks: set KG_AUTH_REQUIRED=1 and "
    "KG_BRAIN_ENFORCE=1 where it came from"
)


class Enforcement:
    """Of one shard. is_on: it enforces lists."""

    def __init__(self, clock: Clock, *, is_on: bool) -> None:
        self.is_on: Final = is_on
        self._clock = clock
        self._why: Final = _NOT_THERE if is_on else _NOT_HERE
        self._is_said = False
        self._refused_at_s: float | None = None

    def check(self, asker: Asker | None) -> None:
        """Raise ListsDisagreeError when whoever asks enforces lists, and this shard does not."""
        if asker is not None and asker.enforced and not self.is_on:
            raise self._refusal()

    def known(self, asker: Asker | None) -> Asker:
        """Return who asks a shard that enforces lists. Raises ListsDisagreeError when the call does not say it."""
        if asker is None:
            raise self._refusal()
        return asker

    @property
    def fault(self) -> str:
        """Why calls were refused, if some were in the last minute; else empty. May be asked from another thread."""
        at_s = self._refused_at_s
        return "" if at_s is None or self._clock.monotonic_s() > at_s + _SHOWN_S else self._why

    def _refusal(self) -> ListsDisagreeError:
        self._refused_at_s = self._clock.monotonic_s()
        if not self._is_said:
            self._is_said = True
            log.error(
                telemetry.SHARD_LISTS_DISAGREE,
                error=self._why,
                consequence="requests for its graphs get 503, and turns that need them wait, until both enforce lists",
            )
        return ListsDisagreeError(self._why)
