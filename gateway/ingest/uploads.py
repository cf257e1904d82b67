"""The uploads that run at this process: so many in all, and so many of one tenant. They end when it drains.

Those that are read as a whole share a bound of memory (INGEST_WHOLE_SIZE_BYTES_MAX), of which those of one tenant have
a part at the most (INGEST_TENANT_WHOLE_RATIO_MAX): what is left is for others. It is asked for as they come.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from argosy import telemetry
from argosy.gateway.ingest.pace import Pace
from argosy.gateway.problems import Problem

_RETRY_AFTER_S: Final = 5.0  # an upload that is worth the bound takes seconds and more


class Whole:
    """The memory of one upload that is read as a whole."""

    def __init__(self, uploads: "Uploads", tenant: str) -> None:
        self._uploads = uploads
        self._tenant = tenant
        self.size_bytes = 0

    def take(self, size_bytes: int) -> None:
        """Take so much more. Raises Problem when there is not so much."""
        self._uploads.check_whole(self._tenant, self.size_bytes, size_bytes)
        self.size_bytes += size_bytes
        self._uploads.whole_size_bytes[self._tenant] += size_bytes


class Uploads:
    """The uploads under way. whole_size_bytes: of those that are read as a whole, by tenant. tenant_whole_ratio_max: of
    the bound of these, the part of one tenant. pace: of all of them.
    """

    def __init__(
        self,
        uploads_max: int,
        tenant_uploads_max: int,
        whole_size_bytes_max: int,
        tenant_whole_ratio_max: float,
        pace: Pace,
    ) -> None:
        self.pace = pace
        self._uploads_max = uploads_max
        self._tenant_uploads_max = tenant_uploads_max
        self._whole_size_bytes_max = whole_size_bytes_max
        self._tenant_whole_size_bytes_max = int(whole_size_bytes_max * tenant_whole_ratio_max)
        self.whole_size_bytes: Counter[str] = Counter()
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

    @contextmanager
    def whole(self, tenant: str) -> Iterator[Whole]:
        """Hold the memory that an upload takes, for as long as the block lasts."""
        whole = Whole(self, tenant)
        try:
            yield whole
        finally:
            self.whole_size_bytes[tenant] -= whole.size_bytes
            if not self.whole_size_bytes[tenant]:
                del self.whole_size_bytes[tenant]

    def check_whole(self, tenant: str, has_size_bytes: int, size_bytes: int) -> None:
        """Raise Problem when an upload that has so much memory cannot have so much more."""
        bound, tenant_bound = self._whole_size_bytes_max, self._tenant_whole_size_bytes_max
        if has_size_bytes + size_bytes > tenant_bound:
            needs = f"to be read as a whole it needs more than {tenant_bound} bytes of memory"
            raise Problem("payload_too_large", f"{needs}: send it as NDJSON, or in parts")
        now, of_tenant = self.whole_size_bytes.total(), self.whole_size_bytes[tenant]
        if of_tenant + size_bytes > tenant_bound:
            has = f"{of_tenant} of {tenant_bound} bytes of memory"
            detail = f"uploads of this tenant that are read as a whole have {has} now: send NDJSON, or later"
            raise Problem("too_many_uploads", detail, retry_after_s=_RETRY_AFTER_S)
        if now + size_bytes > bound:
            detail = f"uploads that are read as a whole have {now} of {bound} bytes of memory now"
            raise Problem("too_many_uploads", detail, retry_after_s=_RETRY_AFTER_S)

    def check(self) -> None:
        """Raise Problem when this gateway ends: an upload goes on at another one."""
        if self._is_draining:
            raise Problem("too_many_uploads", "this gateway ends: go on at another one", retry_after_s=1.0)

    def drain(self) -> None:
        """End every upload soon, and take no new one. Returns at once."""
        self._is_draining = True
