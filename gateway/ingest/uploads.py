"""The uploads that run at this process: so many in all, and so many of one tenant. They end when it drains."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from argosy import telemetry
from argosy.gateway.problems import Problem

_RETRY_AFTER_S: Final = 5.0  # an upload that is worth the bound takes seconds and more


class Uploads:
    """The uploads under way."""

    def __init__(self, uploads_max: int, tenant_uploads_max: int) -> None:
        self._uploads_max = uploads_max
        self._tenant_uploads_max = tenant_uploads_max
        self._tenants: Counter[str] = Counter()
        self._is_draining = False

    @contextmanager
    def opened(self, tenant: str) -> Iterator[None]:
        """Count an upload for as long as the block lasts. Raises Problem when there is no room for it."""
        self.check()
        if self._tenants[tenant] >= self._tenant_uploads_max or self._tenants.total() >= self._uploads_max:
            detail = f"{self._tenants[tenant]} uploads of this tenant, and {self._tenants.total()} in all, run here now"
            raise Problem("too_many_uploads", detail, retry_after_s=_RETRY_AFTER_S)
        self._tenants[tenant] += 1
        telemetry.UPLOADS.inc()
        try:
            yield
        finally:
            telemetry.UPLOADS.dec()
            self._tenants[tenant] -= 1
            if not self._tenants[tenant]:
                del self._tenants[tenant]

    def check(self) -> None:
        """Raise Problem when this gateway ends: an upload goes on at another one."""
        if self._is_draining:
            raise Problem("too_many_uploads", "this gateway ends: go on at another one", retry_after_s=1.0)

    def drain(self) -> None:
        """End every upload soon, and take no new one. Returns at once."""
        self._is_draining = True
