"""Records that were read but not accepted yet: which of them the next accept takes, and when reading should pause."""

from typing import Final

from argosy.log import Record
from argosy.workers.dispatch.claims import Claims
from argosy.workers.dispatch.owned import Hole, Owned

_BATCHES_MAX: Final = 4  # batches that may wait in memory before the reader is paused


# What one accept takes from a partition.
Taken = tuple[Owned, list[Record | Hole]]


class Backlog:
    """The backlog of all owned partitions, bounded in records and bytes. Each partition has its own (Owned.backlog)."""

    def __init__(self, claims: Claims, *, batch_max: int, batch_size_bytes_max: int) -> None:
        self._claims = claims
        self._batch_max = batch_max
        self._size_bytes_max = batch_size_bytes_max
        self._size_bytes = 0
        self.count = 0

    @property
    def is_long(self) -> bool:
        """Whether the reader should pause."""
        return self.count > _BATCHES_MAX * self._batch_max or self._size_bytes > _BATCHES_MAX * self._size_bytes_max

    @property
    def is_short(self) -> bool:
        """Whether a paused reader may resume."""
        return self.count <= self._batch_max and self._size_bytes <= self._size_bytes_max

    def add(self, owned: Owned, each: Record | Hole) -> None:
        owned.add(each)
        self.count += 1
        self._size_bytes += size_bytes_of(each)

    def forget(self, owned: Owned) -> None:
        """Drop the partition's backlog: it will be read again, or the partition belongs to another worker now."""
        self.count -= len(owned.backlog)
        self._size_bytes -= sum(map(size_bytes_of, owned.backlog))
        owned.forget()

    def take(self) -> list[Taken]:
        """Remove and return what the next accept takes: at most batch_max records, and no further record once they have
        batch_size_bytes_max. Records before their partition's position were accepted already, and are dropped.
        """
        taken: list[Taken] = []
        room, room_bytes = self._batch_max, self._size_bytes_max
        for owned in self._claims.owned.values():
            if room <= 0 or room_bytes <= 0:
                break
            if not owned.backlog:
                continue
            if owned.is_void:
                self.forget(owned)
                continue
            size_bytes, count = 0, 0
            for each in owned.backlog[:room]:
                if size_bytes >= room_bytes:
                    break
                size_bytes += size_bytes_of(each)
                count += 1
            part = owned.take(count)
            self.count -= count
            self._size_bytes -= size_bytes
            part = [each for each in part if each.position >= owned.position]
            room, room_bytes = room - len(part), room_bytes - size_bytes
            if part:
                taken.append((owned, part))
        return taken


def size_bytes_of(each: Record | Hole) -> int:
    """Return the size of the record's value, which is all that the bounds count; a hole has none."""
    return 0 if isinstance(each, Hole) else len(each.value or b"")
