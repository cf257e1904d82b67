"""Holds unit vectors in memory by key and finds those that are nearest to another one: exactly, or fast. Pure.

Both only grow: what holds them leaves out keys that the file does not have any more, and begins anew when there are too
many of those.
"""

from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
from usearch.index import Index

Floats = npt.NDArray[np.float32]
Keys = npt.NDArray[np.int64]

# Of the layers that usearch walks: more finds more and takes longer. Candidates are scored anew, exactly.
_EXPANSION: Final = 192
_FIRST_ROOM: Final = 64


class Held(Protocol):
    """Vectors of one dimension, all of length 1."""

    @property
    def size_bytes(self) -> int: ...

    def __len__(self) -> int: ...

    def add(self, keys: Keys, units: Floats) -> None:
        """Take in vectors whose keys are new."""

    def nearest(self, unit: Floats, count: int) -> list[int]:
        """Return the keys of the `count` nearest ones, or of all when they are fewer, the nearest first."""


class Matrix:
    """Compares all vectors."""

    def __init__(self, dimension: int) -> None:
        self._keys: Keys = np.empty(_FIRST_ROOM, np.int64)
        self._units: Floats = np.empty((_FIRST_ROOM, dimension), np.float32)
        self._count = 0

    @property
    def size_bytes(self) -> int:
        return self._keys.nbytes + self._units.nbytes

    def __len__(self) -> int:
        return self._count

    def add(self, keys: Keys, units: Floats) -> None:
        end = self._count + len(keys)
        if end > len(self._keys):
            room = max(end, 2 * len(self._keys))
            self._keys = np.concatenate([self._keys[: self._count], np.empty(room - self._count, np.int64)])
            grown = np.empty((room, self._units.shape[1]), np.float32)
            grown[: self._count] = self._units[: self._count]
            self._units = grown
        self._keys[self._count : end] = keys
        self._units[self._count : end] = units
        self._count = end

    def nearest(self, unit: Floats, count: int) -> list[int]:
        best = best_of(self._units[: self._count] @ unit, count)
        return [int(key) for key in self._keys[best]]


class Layers:
    """Walks layers of neighbours (HNSW), in half precision: a few vectors may be missed."""

    def __init__(self, dimension: int) -> None:
        self._index: Any = Index(ndim=dimension, metric="cos", dtype="f16", expansion_search=_EXPANSION)

    @property
    def size_bytes(self) -> int:
        return int(self._index.memory_usage)

    def __len__(self) -> int:
        return len(self._index)

    def add(self, keys: Keys, units: Floats) -> None:
        self._index.add(keys.astype(np.uint64), units, threads=1)

    def nearest(self, unit: Floats, count: int) -> list[int]:
        return [int(key) for key in self._index.search(unit, count, threads=1).keys]


def best_of(scores: Floats, count: int) -> Keys:
    """Return the places of the `count` highest scores, the highest first."""
    if count < len(scores):
        places = np.argpartition(-scores, count - 1)[:count] if count > 0 else np.empty(0, np.int64)
    else:
        places = np.arange(len(scores))
    return places[np.argsort(-scores[places], kind="stable")].astype(np.int64)


def units_of(numbers: list[bytes], dimension: int) -> Floats:
    """Return vectors as they are stored (float32, little-endian), each with length 1; 0 stays 0."""
    floats = np.frombuffer(b"".join(numbers), "<f4").reshape(-1, dimension).astype(np.float64)
    lengths = np.linalg.norm(floats, axis=1, keepdims=True)
    lengths[lengths == 0] = 1
    units: Floats = (floats / lengths).astype(np.float32)
    return units
