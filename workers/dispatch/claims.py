"""The partitions that this worker owns, and how the lane's log is divided into partitions."""

from typing import Final

from argosy import ids
from argosy.log import Identity
from argosy.workers.dispatch.owned import Owned

_SHARE_MIN: Final = 0.1  # a worker with a smaller share of the partitions polls as if it owned this much


class Claims:
    """This worker's claims. `owned` is changed by `Ownership` alone.

    log: the identity of the lane's log; its partition_count is 0 until `begin` was called.
    """

    def __init__(self) -> None:
        self.owned: dict[int, Owned] = {}
        self.log = Identity("", "", 0)

    def begin(self, log: Identity) -> None:
        """Take in the identity of the log, at the start and whenever the log was replaced."""
        self.log = log

    @property
    def partition_count(self) -> int:
        return self.log.partition_count

    @property
    def are_known(self) -> bool:
        """Whether `begin` was called, so that it is known which partition a bucket belongs to."""
        return self.log.partition_count > 0

    def partition_of(self, bucket: int) -> int:
        return ids.partition_of(bucket, self.log.partition_count)

    def of(self, bucket: int) -> Owned | None:
        """Return this worker's claim of the bucket's partition, or None."""
        return self.owned.get(self.partition_of(bucket))

    def serving(self, bucket: int) -> Owned | None:
        """Return the claim under which the inbox rows of this bucket are taken now, or None."""
        owned = self.of(bucket)
        return owned if owned is not None and owned.is_served else None

    @property
    def share(self) -> float:
        """Return which part of the partitions this worker owns, at least _SHARE_MIN."""
        return max(len(self.owned) / max(1, self.log.partition_count), _SHARE_MIN)
