"""Whatever somebody else writes into the log, every list and every view answers 200 with JSON in UTF-8."""

import json
import os
import random
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import msgspec
import pytest

from argosy import ids, record
from argosy.errors import RecordError
from argosy.log import Record
from argosy.workers.dispatch.accept.accept_arrays import AcceptArrays
from argosy.workers.dispatch.owned import Owned
from tests.gateway.rows import LANE, Rows
from tests.store.hand import Hand

PARTITIONS = 64
NASTY: list[Any] = [
    b"", b"\x00", b"\xff\xfe", b"[1,", b'["a\\u0000b"]', b'["\\ud800"]', b'["ok"]', b"{}", b"[" * 500, b"1e999",
    "", "\x00", "a\x00b", "\x1b[31m", "x" * 300, "..", "\u202e", "é", None, 0, -1, 2**63 - 1, -(2**63), 1.5,
    float("nan"), float("inf"), 1e300, True, [], [1], {"a": 1}, [["a"]],
]  # fmt: skip
FIELDS = len(record.TurnRequested.__struct_fields__)


class Log:
    """Accepts records as a worker does."""

    def __init__(self, hand: Hand) -> None:
        self.hand = hand
        self.log_id = f"foreign-{uuid.uuid4().hex}"
        self.next: dict[int, int] = {}
        self.turns: list[uuid.UUID] = []
        self.codes: set[str] = set()

    async def accept(self, value: bytes, partition: int = 0, headers: tuple[Any, ...] = ()) -> str:
        """The code under which it is kept aside; empty: it is a turn."""
        await self.hand.open_positions(self.log_id)
        position = self.next.get(partition, 0)
        owned = Owned(partition, self.hand.epochs[partition], ids.buckets_of(partition, PARTITIONS))
        owned.position, self.next[partition] = position, position + 1
        arrays = AcceptArrays(LANE, self.log_id, 1_000)
        arrays.add_partition(owned, position + 1, None)
        each, code = Record(position, 0, b"", value, headers), ""
        try:
            self.turns.append(arrays.add(owned, each, PARTITIONS).turn_id)
        except RecordError as error:
            arrays.add_dead_letter(owned, each, error)
            code = error.code
        answer = await self.hand.call(1, *arrays.arguments())
        assert answer.held == [True]
        return code


@pytest.fixture
async def log(gateway_dsn: str) -> AsyncIterator[Log]:
    hand = await Hand(gateway_dsn).open()
    await hand.claim(*range(PARTITIONS))
    yield Log(hand)
    await hand.close()


def asked(tenant: str, session: str = "s", **changes: Any) -> record.TurnRequested:
    bucket = ids.bucket_of(ids.session_id_of(tenant, LANE, session))
    turn_id = ids.TurnIdMint(tenant, LANE).mint(bucket)
    good = record.TurnRequested(turn_id.bytes, tenant, LANE, session, "echo", b"{}", tags=b'["ok"]')
    return msgspec.structs.replace(good, **changes)


def partition_of(value: record.TurnRequested) -> int:
    return ids.partition_of(ids.turn_bucket(uuid.UUID(bytes=value.turn_id)), PARTITIONS)


async def until_all_answer(client: httpx2.AsyncClient, tenants: list[str], turns: list[uuid.UUID]) -> None:
    """Every list, and every view of the turns."""
    lists = ["/v1/sessions", "/v1/dead-letters?limit=200", "/v1/workflows", "/v1/fleet", "/v1/fleet/partitions"]
    lists += [
        "/v1/sessions/s",
        "/v1/sessions/s/turns",
        "/v1/sessions/s/turns?tag=ok",
        "/v1/fleet/leaders",
        "/v1/fleet/shards",
        "/v1/fleet/moves",
    ]
    views = [f"/v1/turns/{turn}{what}" for turn in turns for what in ("", "/events", "/explain")]
    for tenant in tenants:
        for path in [*lists, *views]:
            while path:
                answer = await client.get(path, headers={"x-argosy-tenant": tenant})
                assert answer.status_code in {200, 403, 404}, (path, answer.text)
                body = json.loads(answer.content.decode())
                more = body.get("next") if "dead-letters" in path else None
                path = f"/v1/dead-letters?limit=200&cursor={more}" if more else ""


async def test_arbitrary_bytes_in_every_field_of_a_record_spoil_no_list_and_no_view(
    client: httpx2.AsyncClient, log: Log, tenant: str
) -> None:
    chance = random.Random(2)
    for field in range(FIELDS):
        for nasty in NASTY:
            good = asked(tenant)
            fields = list(msgspec.structs.astuple(good))
            fields[field] = nasty
            await log.accept(b"\x01" + msgspec.msgpack.encode(fields), partition_of(good))
    for _ in range(300):
        good = asked(tenant)
        broken = bytearray(record.encode(good))
        for _ in range(chance.randrange(1, 4)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        cut = bytes(broken[: chance.choice((len(broken), chance.randrange(len(broken) + 1)))])
        await log.accept(cut, partition_of(good))
    for _ in range(50):
        await log.accept(b"\x01" + os.urandom(40), chance.randrange(PARTITIONS))

    await until_all_answer(client, [tenant, "default"], log.turns[-20:])


async def test_a_turn_that_an_older_version_took_with_broken_tags_or_input_spoils_no_list_and_no_view(
    client: httpx2.AsyncClient, rows: Rows
) -> None:
    turns = [await rows.turn("s", "completed")]
    for broken in (b"\xff", b"\x00", b'["a\\u0000b"]', b'["\\ud800"]', b"[", b'{"ok": 1', b"[" * 500):
        turn_id = await rows.turn("s", "completed")
        await rows.connection.execute("UPDATE turns SET tags = $2, input = $2 WHERE turn_id = $1", turn_id, broken)
        turns.append(turn_id)
    await rows.connection.execute("UPDATE turns SET tags = $2 WHERE turn_id = $1", turns[0], b'["ok"]')

    await until_all_answer(client, [rows.tenant], turns)
    tagged = (await client.get("/v1/sessions/s/turns?tag=ok")).json()["turns"]

    assert [each["turn_id"] for each in tagged] == [str(turns[0])]


@pytest.mark.parametrize(
    "changes",
    [
        {"tenant": "no tenant"}, {"tenant": ""}, {"tenant": "x" * 64}, {"session": ""}, {"session": "a\nb"},
        {"session": "x" * 257}, {"session": ".."}, {"workflow": ""}, {"workflow": "w" * 201}, {"workflow": "a\0"},
        {"idempotency_key": "a b"}, {"idempotency_key": "k" * 257}, {"digest": b"1"}, {"tags": b"\xff"},
        {"tags": b'["a\\u0000b"]'}, {"tags": b'["\\ud800"]'}, {"tags": b'[""]'}, {"tags": b"{}"}, {"tags": b"[1]"},
        {"tags": json.dumps(["x"] * 17).encode()}, {"input": b""}, {"input": b"\xff"}, {"input": b'"\\ud800"'},
        {"input": b"[" * 101 + b"]" * 101}, {"input": b"NaN"}, {"priority": 101}, {"deadline_s": -1.0},
        {"deadline_s": float("nan")}, {"deadline_s": 1e9}, {"not_before_ms": -1}, {"not_before_ms": 10**14},
        {"not_before_ms": 2**62}, {"lane": "other"}, {"lane": "x" * 10_000},
    ],
    ids=lambda changes: f"{next(iter(changes))}={next(iter(changes.values()))!r:.20}",
)  # fmt: skip
async def test_what_the_api_would_refuse_is_kept_aside_with_a_reason(log: Log, tenant: str, changes: Any) -> None:
    value = asked(tenant, changes.get("session", "s"))

    code = await log.accept(record.encode(msgspec.structs.replace(value, **changes)), partition_of(value))

    ((kept, reason),) = await log.hand.rows("SELECT code, reason FROM dead_letters WHERE log_id = $1", log.log_id)
    assert code == kept == "invalid_record"
    assert 10 < len(reason) <= 500


async def test_an_id_that_cannot_be_of_its_tenant_is_kept_aside(log: Log, tenant: str) -> None:
    value = asked(tenant)
    another = msgspec.structs.replace(value, turn_id=asked(f"{tenant}-2").turn_id[:8] + value.turn_id[8:])
    foreign = ids.TurnIdMint(f"{tenant}-2", LANE).mint(ids.turn_bucket(uuid.UUID(bytes=value.turn_id)))

    codes = [
        await log.accept(record.encode(msgspec.structs.replace(value, turn_id=each)), partition_of(value))
        for each in (foreign.bytes, os.urandom(16), another.turn_id, value.turn_id)
    ]

    assert codes[0] == codes[1] == "invalid_record"
    assert codes[3] == ""


@pytest.mark.parametrize("trace", [None, b"", b"\x00", b"\xff" * 55, b"x" * 10_000])
async def test_a_trace_that_is_none_is_left_out(log: Log, tenant: str, trace: bytes | None) -> None:
    value = asked(tenant)

    assert await log.accept(record.encode(value), partition_of(value), (("traceparent", trace),)) == ""

    ((kept,),) = await log.hand.rows("SELECT traceparent FROM turns WHERE turn_id = $1", log.turns[0])
    assert kept is None


async def test_explain_answers_before_anything_was_accepted_in_the_partition(
    client: httpx2.AsyncClient, rows: Rows, log: Log
) -> None:
    turn_id = rows.mint("s")
    await rows.connection.execute("DELETE FROM positions")
    await log.hand.open_positions(log.log_id)

    answer = await client.get(f"/v1/turns/{turn_id}/explain")

    assert answer.status_code == 200
    assert answer.json()["details"]["accepted_through"] is None
