"""The lines of this process: one to each worker at which a client of this process watches something."""

import asyncio
from typing import Final

from argosy import telemetry
from argosy.clock import Clock
from argosy.gateway.catalog import Catalog
from argosy.gateway.stream.line import Line
from argosy.gateway.stream.subscription import Subscription
from argosy.rpc.signed_call import Callee
from argosy.store.catalog import Owner

# Owners that were read less than this ago are not read again: many clients lose the same owner at once.
_FRESH_S: Final = 0.05


class Lines:
    """Opens a line when a worker gets its first subscription. Used from one event loop."""

    def __init__(self, catalog: Catalog, key: bytes, clock: Clock) -> None:
        self.clock = clock
        self._catalog = catalog
        self._key = key
        self._lines: dict[Callee, Line] = {}
        self._line_of: dict[Subscription, Line] = {}

    def owner_of(self, partition: int) -> Owner | None:
        """Return the owner of a partition, as far as the catalog knows it."""
        return self._catalog.owner_of(partition)

    async def owner_now(self, partition: int) -> Owner | None:
        """Read the owners again, if Postgres answers, and return the owner of a partition."""
        age_s = self._catalog.age_s
        if age_s is None or age_s > _FRESH_S:
            await self._catalog.refresh()
        return self._catalog.owner_of(partition)

    def subscribe(self, subscription: Subscription) -> None:
        """Open a subscription at its worker."""
        callee = subscription.callee
        line = self._lines.get(callee)
        if line is None:
            line = self._lines[callee] = Line(callee, self._key, self.clock, self._ended)
            telemetry.WATCH_LINES.set(len(self._lines))
        self._line_of[subscription] = line
        line.subscribe(subscription)

    def unsubscribe(self, subscription: Subscription) -> None:
        if line := self._line_of.pop(subscription, None):
            line.unsubscribe(subscription)

    def give_credit(self, subscription: Subscription, size_bytes: int) -> None:
        if line := self._line_of.get(subscription):
            line.give_credit(subscription, size_bytes)

    async def close(self) -> None:
        await asyncio.gather(*(line.close() for line in list(self._lines.values())))

    def _ended(self, line: Line) -> None:
        if self._lines.get(line.callee) is line:
            del self._lines[line.callee]
            telemetry.WATCH_LINES.set(len(self._lines))
