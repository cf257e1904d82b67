"""The exports of graphs that run at this process: so many of one tenant.

A client that reads slowly holds a stream of a shard for as long as GRAPH_STREAM_TIMEOUT_S, and a shard has few for all.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from argosy.gateway.problems import Problem

_RETRY_AFTER_S: Final = 5.0  # an export takes seconds and more


class Exports:
    """The exports under way."""

    def __init__(self, tenant_max: int) -> None:
        self._tenant_max = tenant_max
        self._tenants: Counter[str] = Counter()

    @contextmanager
    def opened(self, tenant: str) -> Iterator[None]:
        """Count an export for as long as the block lasts. Raises Problem when its tenant has as many as it may."""
        if self._tenants[tenant] >= self._tenant_max:
            detail = f"{self._tenant_max} exports of this tenant run at this gateway, and no more may"
            raise Problem("too_many_streams", detail, retry_after_s=_RETRY_AFTER_S)
        self._tenants[tenant] += 1
        try:
            yield
        finally:
            self._tenants[tenant] -= 1
            if not self._tenants[tenant]:
                del self._tenants[tenant]
