"""The connections of this process: one to each worker at which a client of this process follows something."""

import asyncio
from typing import Final

from argosy import telemetry
from argosy.clock import Clock
from argosy.gateway.catalog import Catalog
from argosy.gateway.stream.connection import WorkerConnection
from argosy.gateway.stream.subscription import Subscription
from argosy.rpc.signed_call import Callee
from argosy.rpc.tls import Tls
from argosy.store.catalog import Owner

# Owners that were read less than this ago are not read again: many clients lose the same owner at once.
_FRESH_S: Final = 0.05


class WorkerConnections:
    """Opens a connection when a worker gets its first subscription. Used from one event loop.

    credit_size_bytes: what a worker may send for one subscription before its client has taken it.
    """

    def __init__(
        self, catalog: Catalog, key: bytes, clock: Clock, credit_size_bytes: int, tls: Tls | None = None
    ) -> None:
        self.clock = clock
        self.credit_size_bytes = credit_size_bytes
        self._catalog = catalog
        self._key = key
        self._tls = tls
        self._connections: dict[Callee, WorkerConnection] = {}
        self._connection_of: dict[Subscription, WorkerConnection] = {}

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
        connection = self._connections.get(callee)
        if connection is None:
            connection = WorkerConnection(callee, self._key, self.clock, self, self._tls)
            self._connections[callee] = connection
            telemetry.WATCH_LINES.set(len(self._connections))
        self._connection_of[subscription] = connection
        connection.subscribe(subscription)

    def unsubscribe(self, subscription: Subscription) -> None:
        if connection := self._connection_of.pop(subscription, None):
            connection.unsubscribe(subscription)

    def give_credit(self, subscription: Subscription, size_bytes: int) -> None:
        if connection := self._connection_of.get(subscription):
            connection.give_credit(subscription, size_bytes)

    async def close(self) -> None:
        await asyncio.gather(*(connection.close() for connection in list(self._connections.values())))

    def after_connection(self, connection: WorkerConnection) -> None:
        if self._connections.get(connection.callee) is connection:
            del self._connections[connection.callee]
            telemetry.WATCH_LINES.set(len(self._connections))
