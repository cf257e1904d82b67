"""Keys of tenants: made once, kept for a time, good for a while without Postgres, replaced by age, destroyed."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from argosy import config
from argosy.errors import SettingError, StoreUnavailableError
from argosy.seal.envelope import is_sealed, key_id_of
from argosy.seal.errors import KeysUnavailableError, PayloadUnreadableError
from argosy.seal.master import MasterKeys
from argosy.seal.places import result_of
from argosy.store import seals as module
from argosy.store.key_care import check_keys, rewrap_keys
from argosy.store.pool import Pool
from argosy.store.sealing import check_masters
from argosy.store.seals import Seals
from argosy.store.tenant_key import KeyRow, TenantKeys
from tests.harness.hand_clock import HandClock
from tests.seal.test_master_keys import NEW, OLD, KmsOfTests

TURN = uuid.UUID(int=5)


class Rows(TenantKeys):
    """The table, which may be away; reads of it are counted."""

    is_away = False
    reads = 0

    async def of(self, tenants: Any) -> dict[str, list[KeyRow]]:
        self.reads += 1
        if self.is_away:
            raise StoreUnavailableError("away")
        return await super().of(tenants)


class Here:
    """One process with keys, and time."""

    def __init__(self, pool: Pool, masters: MasterKeys | None = None, **settings: Any) -> None:
        self.rows, self.clock = Rows(pool), HandClock()
        settings = {"payload_keys_cache_s": 300, "payload_keys_stale_s_max": 1_000, **settings}
        self.seals = Seals(self.rows, masters or MasterKeys([OLD], None, 1.0), self.clock, config.load({}, **settings))

    async def seal(self, tenant: str = "acme", data: bytes = b"{}") -> bytes:
        sealed = await self.seals.sealed(tenant, data, result_of(tenant, TURN))
        assert sealed is not None
        return sealed

    async def open(self, value: bytes, tenant: str = "acme") -> bytes:
        opener = await self.seals.opener([(tenant, value)])
        return opener.open(tenant, value, result_of(tenant, TURN))


@pytest.fixture
async def pool(store_dsn: str) -> AsyncIterator[Pool]:
    pool = Pool(store_dsn, 8, 30.0)
    yield pool
    await pool.close()


async def test_a_tenants_keys_are_made_once_however_many_need_them_at_once(pool: Pool) -> None:
    processes = [Here(pool) for _ in range(6)]

    sealed = await asyncio.gather(*(each.seal(data=b"[1]") for each in processes for _ in range(3)))

    assert len({key_id_of(each) for each in sealed}) == 1
    rows = (await TenantKeys(pool).of(["acme"]))["acme"]
    assert sorted(each.is_digest for each in rows) == [False, True]
    assert {await each.open(sealed[0]) for each in processes} == {b"[1]"}
    digests = {(await each.seals.sealers(["acme"]))["acme"].digest(b"x") for each in processes}
    assert len(digests) == 1
    assert (await processes[0].seals.sealers(["other"]))["other"].digest(b"x") not in digests


async def test_postgres_is_asked_once_in_a_while_and_not_per_value(pool: Pool) -> None:
    here = Here(pool)
    value = await here.seal()
    begun = here.rows.reads

    for _ in range(50):
        assert await here.open(await here.seal()) == b"{}"
    assert here.rows.reads == begun
    here.clock.now_s += 301
    await here.open(value)
    assert here.rows.reads == begun + 1


async def test_known_keys_are_good_for_some_time_while_postgres_is_away(pool: Pool) -> None:
    here = Here(pool)
    value = await here.seal()
    here.rows.is_away = True

    for _ in range(4):
        here.clock.now_s += 310
        assert await here.open(await here.seal()) == b"{}"
        assert await here.open(value) == b"{}"
    with pytest.raises(StoreUnavailableError):
        await here.seal("other")
    assert await here.open(b"null", "other") == b"null"
    here.clock.now_s += 310
    for attempt in (here.seal(), here.open(value)):
        with pytest.raises(StoreUnavailableError):
            await attempt
    here.rows.is_away = False
    assert await here.open(value) == b"{}"


async def test_known_keys_are_good_for_some_time_while_the_kms_is_away(pool: Pool) -> None:
    kms = KmsOfTests()
    here = Here(pool, MasterKeys([], kms, 1.0))
    value = await here.seal()
    kms.error = OSError("no route")

    for _ in range(4):
        here.clock.now_s += 310
        assert await here.open(await here.seal()) == b"{}"
    here.clock.now_s += 310
    with pytest.raises(KeysUnavailableError):
        await here.open(value)
    kms.error = None
    assert await here.open(value) == b"{}"


async def test_keys_are_replaced_by_age_and_by_use_and_old_ones_open(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Here(pool, payload_key_age_s_max=3_600)
    first = await here.seal()
    await pool.execute("UPDATE argosy.tenant_keys SET created_at = now() - interval '2 hours' WHERE NOT digest")
    here.clock.now_s += 301
    second = await here.seal()
    monkeypatch.setattr(module, "KEY_USES_MAX", 3)
    third = [await here.seal() for _ in range(6)][-1]

    assert len({key_id_of(each) for each in (first, second, third)}) == 3
    assert [await here.open(each) for each in (first, second, third)] == [b"{}"] * 3


async def test_a_destroyed_key_opens_nothing_and_its_number_is_never_given_again(pool: Pool) -> None:
    here, other = Here(pool), Here(pool)
    value = await here.seal()
    digest = (await here.seals.sealers(["acme"]))["acme"].digest(b"x")

    assert await other.rows.destroy("acme") == 2
    assert await other.rows.destroy("acme") == 0
    with pytest.raises(PayloadUnreadableError, match="was destroyed"):
        await other.open(value)
    assert await here.open(value) == b"{}", "what it knows is good for PAYLOAD_KEYS_CACHE_S"
    here.clock.now_s += 301
    with pytest.raises(PayloadUnreadableError, match="was destroyed"):
        await here.open(value)
    again = await here.seal()
    assert key_id_of(again) > key_id_of(value)
    assert (await here.seals.sealers(["acme"]))["acme"].digest(b"x") != digest
    assert await here.open(again) == b"{}"


async def test_a_key_that_another_process_made_just_now_is_found(pool: Pool) -> None:
    here, other = Here(pool), Here(pool, payload_key_age_s_max=3_600)
    value = await here.seal()
    await pool.execute("UPDATE argosy.tenant_keys SET created_at = now() - interval '2 hours' WHERE NOT digest")
    newer = await other.seal()

    assert key_id_of(newer) > key_id_of(value)
    assert await here.open(newer) == b"{}"
    with pytest.raises(PayloadUnreadableError, match="has no key 99"):
        await here.open(value[:4] + b"\x63" + value[5:])


async def test_master_keys_are_replaced_without_touching_a_payload(pool: Pool) -> None:
    old, rows = Here(pool), TenantKeys(pool)
    values = {tenant: await old.seal(tenant, tenant.encode()) for tenant in ("a", "b")}
    both, new = MasterKeys([NEW, OLD], None, 1.0), MasterKeys([NEW], None, 1.0)

    found = await check_keys(rows, new)
    assert len(found.lost) == 4
    assert await rewrap_keys(rows, both) == 4
    assert await rewrap_keys(rows, both) == 0
    assert (await check_keys(rows, new)).lost == []
    assert {tenant: await Here(pool, new).open(each, tenant) for tenant, each in values.items()} == {
        "a": b"a",
        "b": b"b",
    }
    with pytest.raises(PayloadUnreadableError):
        await Here(pool).open(values["a"], "a")


async def test_a_process_without_the_others_master_keys_does_not_start_and_would_still_write(pool: Pool) -> None:
    await check_masters(pool, None)
    value = await Here(pool).seal()
    new = MasterKeys([NEW], None, 1.0)

    for masters in (None, new):
        with pytest.raises(SettingError, match="PAYLOAD_KEYS"):
            await check_masters(pool, masters)
    await check_masters(pool, MasterKeys([NEW, OLD], None, 1.0))
    here = Here(pool, new)
    with pytest.raises(PayloadUnreadableError, match="wrapped by master key"):
        await here.open(value)
    assert await here.open(await here.seal()) == b"{}"


async def test_before_a_fleet_seals_it_can_open(pool: Pool) -> None:
    value = await Here(pool).seal(data=b"[1]")
    here = Here(pool, payload_sealing=False)

    assert await here.seal(data=b"[1]") == b"[1]"
    assert await here.open(value) == b"[1]"
    assert not is_sealed(await here.seals.sealed("acme", b"[1]", result_of("acme", TURN)))


async def test_few_tenants_are_kept(pool: Pool) -> None:
    here = Here(pool, payload_keys_max=10)
    await here.seals.sealers([f"t{number}" for number in range(30)])

    reads = here.rows.reads
    await here.seal("t29")
    assert here.rows.reads == reads
    await here.seal("t0")
    assert here.rows.reads == reads + 1
