"""How many streams a tenant may open at this gateway. No I/O.

The limit is of all gateways together. Each tells Postgres how many it has open of a tenant, and may then open its
part of those that nobody has or may open: where that is less than one for each, whose turn it is changes every
second. So a tenant whose streams all come to one gateway has all of them there after a few intervals, and what is
opened at several at once passes the limit by little: by what gateways open that have not told of a tenant yet, each a
twentieth of an equal part, or one stream.

Without Postgres each gateway has what it had; a stream needs Postgres anyway. What a gateway had that was killed is
counted until that has not been heard of for SEEN_S; its clients are at others by then, so for that long they may be
refused, with Retry-After.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from argosy.gateway.tenant_limits.rates import OwnLimits
from argosy.store.limits import Open, Settled

_UNTOLD: Final = 0.05  # of an equal part: so many a gateway opens before it tells


class StreamRoom:
    """The streams that each tenant has open here. default_max: of tenants that have no limit of their own."""

    def __init__(self, default_max: int, own: OwnLimits) -> None:
        self._default_max = default_max
        self._own = own
        self._gateways = 1
        self._counts: Counter[str] = Counter()
        self._allowed: Mapping[str, int] = {}

    def count(self, tenant: str) -> int:
        """Return how many streams a tenant has open here."""
        return self._counts[tenant]

    def most(self, tenant: str) -> int:
        """Return how many streams a tenant may have open at all gateways."""
        own = self._own.limits_of(tenant)
        return self._default_max if own is None or own.streams is None else own.streams

    def has_room(self, tenant: str) -> bool:
        """Whether a tenant may open one more here."""
        count, most = self._counts[tenant], self.most(tenant)
        if self._gateways == 1 and tenant not in self._allowed:
            return count < most
        allowed = self._allowed.get(tenant)
        return count < (self._untold(most) if allowed is None else allowed)

    def opened(self, tenant: str) -> None:
        """Count one more."""
        self._counts[tenant] += 1

    def closed(self, tenant: str) -> None:
        """Count one less."""
        self._counts[tenant] -= 1
        if not self._counts[tenant]:
            del self._counts[tenant]

    def due(self) -> list[Open]:
        """Return which streams Postgres is to be told of."""
        counts = ((tenant, count, self.most(tenant)) for tenant, count in sorted(self._counts.items()))
        return [Open(*each) for each in counts if each[1] >= self._untold(each[2])]

    def settled(self, settled: Settled) -> None:
        """Take over what Postgres answered."""
        self._gateways = settled.gateways
        self._allowed = settled.streams

    def _untold(self, most: int) -> int:
        return max(int(_UNTOLD * most / self._gateways), 1)
