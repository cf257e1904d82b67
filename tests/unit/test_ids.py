"""Ids are the same for ever: rows in Postgres and records in the log are placed by them.

The golden values below are of no use any more once one of them changes: then every session is somewhere else.
"""

import uuid
from typing import Final

import pytest

from argosy import ids

# (tenant, lane, session): the session's id, and its bucket.
GOLDEN: Final = {
    ("default", "default", "hello"): ("5aff10b1-e755-a7e8-f644-60c82b50ee8c", 767),
    ("default", "default", ""): ("ce1a34ca-005b-8372-aecd-b5ea28e1fab5", 538),
    ("a", "bc", "d"): ("19c23c2b-8384-bea6-37cb-330cb944d206", 450),
    ("ab", "c", "d"): ("e45f6704-5581-1c53-21c1-e109a972c764", 95),
    ("acme", "gpu", "order-7"): ("0aec6669-a307-6a14-2a4d-a02144015797", 748),
    ("acme", "default", "größe/日本 😀"): ("cd17378e-c15c-406b-a658-c5dd1dc2c81b", 279),
}
TENANT_TAGS: Final = {"default": 63947, "acme": 58210, "größe": 15780}
LANE_TAGS: Final = {"default": 152, "gpu": 189}
# Turn ids of tenant "acme" and lane "gpu", minted at this time for bucket 777, but for their random bits.
MINTED_MS: Final = 1_764_547_200_123


@pytest.mark.parametrize("identity", GOLDEN)
def test_a_session_has_the_same_id_and_bucket_for_ever(identity: tuple[str, str, str]) -> None:
    session_id = ids.session_id_of(*identity)

    assert (str(session_id), ids.bucket_of(session_id)) == GOLDEN[identity]
    assert session_id.bytes == ids.session_id_bytes(*identity)


def test_the_tags_of_tenants_and_lanes_are_the_same_for_ever() -> None:
    assert {each: ids.tenant_tag(each) for each in TENANT_TAGS} == TENANT_TAGS
    assert {each: ids.lane_tag(each) for each in LANE_TAGS} == LANE_TAGS


def test_a_turn_id_has_its_time_bucket_and_tags_where_it_always_had_them() -> None:
    turn_id = ids.TurnIdMint("acme", "gpu").mint(777, MINTED_MS)
    random = 0x3 << 74 | 0x3FFFFFFFFF

    assert uuid.UUID(int=turn_id.int & ~random) == uuid.UUID("019ad735-847b-8309-af78-d88000000000")
    assert (turn_id.version, turn_id.variant) == (8, uuid.RFC_4122)
    assert (ids.mint_time_ms(turn_id), ids.turn_bucket(turn_id)) == (MINTED_MS, 777)


def test_a_turn_id_can_be_of_the_tenant_and_lane_that_it_was_minted_for_alone() -> None:
    turn_id = ids.TurnIdMint("acme", "gpu").mint(777, MINTED_MS)

    assert ids.can_be_of(turn_id, "acme", "gpu")
    assert not ids.can_be_of(turn_id, "default", "gpu")
    assert not ids.can_be_of(turn_id, "acme", "default")
    assert not ids.can_be_of(uuid.UUID(int=turn_id.int ^ 0xC << 76), "acme", "gpu")  # of version 4


@pytest.mark.parametrize("partition_count", [1, 3, 16, 100, 1024])
def test_partitions_hold_consecutive_buckets_and_each_bucket_once(partition_count: int) -> None:
    ranges = [ids.buckets_of(partition, partition_count) for partition in range(partition_count)]
    held = [bucket for first, last in ranges for bucket in range(first, last + 1)]

    assert held == list(range(ids.BUCKET_COUNT))
    assert all(
        ids.partition_of(bucket, partition_count) == partition
        for partition, (first, last) in enumerate(ranges)
        for bucket in range(first, last + 1)
    )
