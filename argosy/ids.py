"""Turn ids, session ids, buckets, and the partitions that hold them.

The bucket of a session never changes: rows in Postgres and records in the log are placed by it, so the golden values in
tests/unit/test_ids.py must stay as they are.

A turn id is a UUIDv8: 48 bits of Unix milliseconds, 2 random bits, 10 bits of bucket, 8 bits of lane tag, 16 bits of
tenant tag, 38 random bits. So an id alone says in which bucket to look, and whether it can be the caller's.
"""

import hashlib
import os
import time
import uuid
from functools import lru_cache
from typing import Final

BUCKET_COUNT: Final = 1024  # written down with every session, for ever; partitions are ranges of buckets


def digest(*parts: str, size_bytes: int) -> bytes:
    """Return the blake2b digest of length-prefixed UTF-8 parts, so that ("a", "bc") and ("ab", "c") differ."""
    encoded = [part.encode() for part in parts]
    prefixed = b"".join([len(each).to_bytes(4, "big") + each for each in encoded])
    return hashlib.blake2b(prefixed, digest_size=size_bytes).digest()


def session_id_bytes(tenant: str, lane: str, session: str) -> bytes:
    """Return the key of a session's rows: a digest of its identity (tenant, lane, name), which never changes."""
    return digest(tenant, lane, session, size_bytes=16)


def session_id_of(tenant: str, lane: str, session: str) -> uuid.UUID:
    """Return `session_id_bytes` as a UUID."""
    return uuid.UUID(bytes=session_id_bytes(tenant, lane, session))


def bucket_of(session_id: uuid.UUID) -> int:
    """Return the bucket (0..1023) of a session, which never changes."""
    return int.from_bytes(session_id.bytes[:2], "big") % BUCKET_COUNT


def partition_of(bucket: int, partition_count: int) -> int:
    """Return the partition that holds a bucket. A partition holds consecutive buckets."""
    return bucket * partition_count // BUCKET_COUNT


def buckets_of(partition: int, partition_count: int) -> tuple[int, int]:
    """Return the first and the last bucket of a partition, both inclusive; (n, n - 1) when it has none."""
    first = -(-partition * BUCKET_COUNT // partition_count)
    last = -(-(partition + 1) * BUCKET_COUNT // partition_count) - 1
    return first, last


@lru_cache(maxsize=4_096)
def tenant_tag(tenant: str) -> int:
    """Return the 16 bits that a tenant's turn ids carry."""
    return int.from_bytes(digest("tenant", tenant, size_bytes=2), "big")


@lru_cache(maxsize=256)
def lane_tag(lane: str) -> int:
    """Return the 8 bits that a lane's turn ids carry."""
    return digest("lane", lane, size_bytes=1)[0]


class TurnIdMint:
    """Mints turn ids for one tenant and lane; the tags are computed once."""

    __slots__ = ("_tags",)

    def __init__(self, tenant: str, lane: str) -> None:
        self._tags = lane_tag(lane) << 54 | tenant_tag(tenant) << 38

    def mint(self, bucket: int, now_ms: int | None = None) -> uuid.UUID:
        """Return a new turn id. now_ms: Unix milliseconds; the present time when not given."""
        if now_ms is None:
            now_ms = time.time_ns() // 1_000_000
        random = int.from_bytes(os.urandom(5), "big")
        high = now_ms << 16 | 0x8000 | (random >> 38) << 10 | bucket
        low = 0x8000000000000000 | self._tags | random & 0x3FFFFFFFFF
        return uuid.UUID(int=high << 64 | low)


def mint_time_ms(turn_id: uuid.UUID) -> int:
    """Return when a turn id was minted, in Unix milliseconds by the clock of the gateway that minted it."""
    return turn_id.int >> 80


def turn_bucket(turn_id: uuid.UUID) -> int:
    """Return the bucket that a turn id carries."""
    return turn_id.int >> 64 & 0x3FF


def can_be_of(turn_id: uuid.UUID, tenant: str, lane: str) -> bool:
    """Whether a turn id can belong to this tenant and lane: a UUIDv8 with their tags.

    True is no proof (the tags are 24 bits); False is certain.
    """
    value = turn_id.int
    return (
        value >> 76 & 0xF == 8
        and value >> 62 & 0x3 == 2
        and value >> 54 & 0xFF == lane_tag(lane)
        and value >> 38 & 0xFFFF == tenant_tag(tenant)
    )
