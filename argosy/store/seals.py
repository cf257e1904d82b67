"""Seals and opens payloads with the keys of tenants (argosy/seal says what, where and why).

Rules:
- Keys are read when they are needed, those of several tenants in one read, and kept for PAYLOAD_KEYS_CACHE_S: a turn
  costs no round trip. One read is under way at a time.
- A tenant's first key is made by whoever needs it first; of several that do so at once, one makes it, and all use it:
  its number is the primary key of its row.
- A key that is too old, or was used too often by this process, is followed by a new one, and so is one that this
  process cannot unwrap: to write needs none of the master keys that others have.
- While Postgres or the KMS is away, keys that this process knows are good for PAYLOAD_KEYS_STALE_S_MAX more.
"""

import asyncio
import contextlib
import hashlib
import os
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Set
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from argosy import telemetry
from argosy.clock import Clock
from argosy.config import Settings
from argosy.errors import StoreUnavailableError
from argosy.seal.codec import Codec, Opener, Sealer, Value
from argosy.seal.envelope import KEY_SIZE_BYTES, KEY_USES_MAX, is_sealed, key_id_of, seal, unseal
from argosy.seal.errors import KeysUnavailableError, PayloadUnreadableError
from argosy.seal.master import MasterKeys
from argosy.store.tenant_key import KeyRow, TenantKeys

_AGAIN_S: Final = 2.0  # before keys are asked for again that were not there, or could not be asked for
_REFRESH_S: Final = 1.0  # for reading anew what is still good: nobody waits longer
_NONE: Final[frozenset[int]] = frozenset()
_TRIES_MAX: Final = 10  # others may make keys of the tenant at the same time

log = telemetry.logger()


class DataKey(NamedTuple):
    """A key of a tenant, unwrapped. until_s: good until then while the KMS is away."""

    secret: bytes
    cipher: AESGCM
    until_s: float


_Key = DataKey | PayloadUnreadableError  # or why it opens nothing


class TenantSealer:
    """argosy/seal/codec.py, Sealer: with the newest key of a tenant. uses: how often it was used by this process."""

    __slots__ = ("_digest_key", "_key", "key_id", "uses")

    def __init__(self, key_id: int, key: DataKey, digest_key: DataKey, uses: int) -> None:
        self.key_id = key_id
        self._key = key
        self._digest_key = digest_key
        self.uses = uses

    def seal(self, data: bytes, place: bytes) -> bytes:
        self.uses += 1
        return seal(self._key.cipher, self.key_id, data, place)

    def digest(self, content: bytes) -> bytes:
        return hashlib.blake2b(content, digest_size=16, key=self._digest_key.secret).digest()


class _Known:
    """What is known of one tenant's keys, as of a read. keys: unwrapped, or why one cannot be. former: those of reads
    before, for when the KMS is away. sealer: of a read before, for how often its key was used, while is_made is False.
    renew_s: when its key is too old. asked_s: when Postgres was asked last, and did not answer, maybe.
    """

    __slots__ = ("asked_s", "former", "is_made", "keys", "read_s", "renew_s", "rows", "sealer", "tenant")

    def __init__(self, tenant: str, rows: list[KeyRow], now_s: float, before: "_Known | None") -> None:
        self.tenant = tenant
        self.rows = {each.key_id: each for each in rows}
        self.read_s = self.asked_s = now_s
        self.keys: dict[int, _Key] = {}
        self.former: dict[int, _Key] = {} if before is None else {**before.former, **before.keys}
        self.sealer: TenantSealer | None = None if before is None else before.sealer
        self.is_made = False
        self.renew_s = 0.0


class _KeyOpener(Opener):
    def __init__(self, keys: Mapping[tuple[str, int], _Key]) -> None:
        self._keys = keys

    def open(self, tenant: str, value: bytes, place: bytes) -> bytes:
        if not is_sealed(value):
            return value
        try:
            key = self._keys[tenant, key_id_of(value)]
            if isinstance(key, PayloadUnreadableError):
                raise type(key)(str(key))  # a new one: the same may be asked for again
            return unseal(key.cipher, value, place)
        except PayloadUnreadableError:
            telemetry.PAYLOADS_UNREADABLE.inc()
            raise


class Seals(Codec):
    """The codec of a process with master keys. Used from one event loop."""

    is_on = True

    def __init__(self, rows: TenantKeys, masters: MasterKeys, clock: Clock, settings: Settings) -> None:
        self._rows = rows
        self._masters = masters
        self._clock = clock
        self._is_sealing = settings.payload_sealing
        self._cache_s = settings.payload_keys_cache_s
        self._stale_s = settings.payload_keys_cache_s + settings.payload_keys_stale_s_max
        self._tenants_max = settings.payload_keys_max
        self._age_s_max = settings.payload_key_age_s_max
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._reading = asyncio.Lock()

    async def sealers(self, tenants: Iterable[str]) -> Mapping[str, Sealer]:
        found: dict[str, Sealer] = {}
        if not self._is_sealing:
            return found
        lacking: list[str] = []
        now_s = self._clock.monotonic_s()
        for tenant in tenants:
            if (sealer := self._sealer(tenant, now_s)) is not None:
                found[tenant] = sealer
            else:
                lacking.append(tenant)
        if lacking:
            async with self._reading:
                await self._read(dict.fromkeys(lacking, _NONE), now_s)
                for tenant in lacking:
                    found[tenant] = await self._made_sealer(tenant)
                self._forget_some()
        return found

    async def opener(self, values: Iterable[Value]) -> Opener:
        wanted: dict[str, set[int]] = {}
        for tenant, value in values:
            if value is not None and is_sealed(value):
                with contextlib.suppress(PayloadUnreadableError):  # as whoever opens it is told
                    wanted.setdefault(tenant, set()).add(key_id_of(value))
        keys = {tenant: self._keys(tenant, key_ids) for tenant, key_ids in wanted.items()}
        if lacking := [tenant for tenant, found in keys.items() if found is None]:
            async with self._reading:
                await self._read({tenant: wanted[tenant] for tenant in lacking}, self._clock.monotonic_s())
                for tenant in lacking:
                    keys[tenant] = {each: await self._unwrapped(tenant, each) for each in wanted[tenant]}
                self._forget_some()
        return _KeyOpener(
            {(tenant, each): key for tenant, found in keys.items() for each, key in (found or {}).items()}
        )

    # What memory has

    def _is_current(self, known: _Known, now_s: float) -> bool:
        """Whether Postgres need not be asked again yet."""
        return now_s - known.read_s < self._cache_s or now_s - known.asked_s < _AGAIN_S

    def _sealer(self, tenant: str, now_s: float) -> TenantSealer | None:
        """Return who seals for the tenant, if that is known and still good."""
        known = self._known.get(tenant)
        if known is None or known.sealer is None or not known.is_made or not self._is_current(known, now_s):
            return None
        if known.sealer.uses >= KEY_USES_MAX or (now_s >= known.renew_s and now_s - known.asked_s >= _AGAIN_S):
            return None
        self._known.move_to_end(tenant)
        return known.sealer

    def _keys(self, tenant: str, key_ids: set[int]) -> dict[int, _Key] | None:
        """Return these keys of a tenant, if all are known and still good."""
        known, now_s = self._known.get(tenant), self._clock.monotonic_s()
        if known is None or not self._is_current(known, now_s) or not key_ids <= known.keys.keys():
            return None
        found = {each: known.keys[each] for each in key_ids}
        if now_s - known.read_s >= _AGAIN_S and any(
            isinstance(each, PayloadUnreadableError) for each in found.values()
        ):
            return None  # it may be there by now
        self._known.move_to_end(tenant)
        return found

    def _forget_some(self) -> None:
        while len(self._known) > self._tenants_max:
            self._known.popitem(last=False)

    # What Postgres has

    async def _read(self, wanted: Mapping[str, Set[int]], now_s: float) -> None:
        """Read the keys of these tenants, but for those that another task has read just now, with the keys that are
        wanted. Raises StoreUnavailableError, unless what is known of all suffices for some time more.
        """
        old = [tenant for tenant, key_ids in wanted.items() if not self._was_read(tenant, key_ids, now_s)]
        if not old:
            return
        is_good = all(self._suffices(tenant, wanted[tenant], now_s) for tenant in old)
        try:
            async with asyncio.timeout(_REFRESH_S if is_good else None):
                found = await self._rows.of(old)
        except (StoreUnavailableError, TimeoutError) as error:
            if not is_good:
                raise
            log.warning(telemetry.KEYS_STALE, tenants=len(old), reason=str(error) or type(error).__name__)
            for tenant in old:
                self._known[tenant].asked_s = now_s
            return
        for tenant, rows in found.items():
            self._enter(tenant, rows, now_s)

    def _was_read(self, tenant: str, key_ids: Set[int], now_s: float) -> bool:
        # One that is not there may have been made since: a value that has its number was sealed after it was committed.
        known = self._known.get(tenant)
        return (
            known is not None and key_ids <= known.rows.keys() and now_s - known.read_s < min(_AGAIN_S, self._cache_s)
        )

    def _suffices(self, tenant: str, key_ids: Set[int], now_s: float) -> bool:
        known = self._known.get(tenant)
        if known is None or now_s - known.read_s >= self._stale_s or not key_ids <= known.keys.keys():
            return False
        return bool(key_ids) or known.is_made

    def _enter(self, tenant: str, rows: list[KeyRow], now_s: float) -> None:
        self._known[tenant] = _Known(tenant, rows, now_s, self._known.get(tenant))
        self._known.move_to_end(tenant)

    async def _unwrapped(self, tenant: str, key_id: int) -> _Key:
        """Return a key of a tenant whose keys were read, or why it opens nothing. Raises KeysUnavailableError."""
        known = self._known[tenant]
        if (row := known.rows.get(key_id)) is None:
            return PayloadUnreadableError(f"tenant {tenant!r} has no key {key_id}")
        if (found := known.keys.get(key_id)) is None:
            found = known.keys[key_id] = await self._unwrap(known, row)
        return found

    async def _unwrap(self, known: _Known, row: KeyRow) -> _Key:
        key_id = row.key_id
        if row.secret is None:
            return PayloadUnreadableError(f"key {key_id} of tenant {known.tenant!r} was destroyed")
        try:
            secret = await self._masters.unwrap(row.secret, known.tenant, key_id)
            return DataKey(secret, AESGCM(secret), self._clock.monotonic_s() + self._stale_s)
        except PayloadUnreadableError as error:
            return error
        except KeysUnavailableError as error:
            former = known.former.get(key_id)
            if not isinstance(former, DataKey) or self._clock.monotonic_s() >= former.until_s:
                raise
            log.warning(telemetry.KEYS_STALE, tenants=1, reason=str(error))
            return former

    # New keys

    async def _made_sealer(self, tenant: str) -> TenantSealer:
        """Return who seals for a tenant whose keys were read, making what it lacks. Raises StoreUnavailableError."""
        now_s = self._clock.monotonic_s()
        if (sealer := self._sealer(tenant, now_s)) is not None:  # another task was faster, or it is good for longer
            return sealer
        for _ in range(_TRIES_MAX):
            known = self._known[tenant]
            before = known.sealer
            worn = before.key_id if before is not None and before.uses >= KEY_USES_MAX else 0
            rows = sorted((each for each in known.rows.values() if each.secret is not None), key=_newest_first)
            fit = [each for each in rows if each.age_s < self._age_s_max and each.key_id > worn]
            data = await self._first_of(known, [each for each in fit if not each.is_digest])
            digest = await self._first_of(known, [each for each in rows if each.is_digest])
            if data is not None and digest is not None:
                row, key = data
                uses = before.uses if before is not None and before.key_id == row.key_id else 0
                known.sealer = TenantSealer(row.key_id, key, digest[1], uses)
                known.renew_s, known.is_made = now_s + self._age_s_max - row.age_s, True
                return known.sealer
            key_id = max(known.rows, default=0) + 1
            wrapped = await self._masters.wrap(os.urandom(KEY_SIZE_BYTES), tenant, key_id)
            await self._rows.add(tenant, key_id, wrapped, is_digest=digest is None)
            self._enter(tenant, (await self._rows.of([tenant]))[tenant], now_s)
            is_mine = self._known[tenant].rows[key_id].wrapped == wrapped.data
            if is_mine and isinstance(made := await self._unwrapped(tenant, key_id), PayloadUnreadableError):
                raise KeysUnavailableError(f"what PAYLOAD_KEYS_HOOK wraps, it does not unwrap: {made}")
        raise StoreUnavailableError(f"no key of tenant {tenant!r} could be made: others make keys all the time")

    async def _first_of(self, known: _Known, rows: Iterable[KeyRow]) -> tuple[KeyRow, DataKey] | None:
        """Return the first of these keys that can be unwrapped here. Raises KeysUnavailableError."""
        for row in rows:
            if isinstance(key := await self._unwrapped(known.tenant, row.key_id), DataKey):
                return row, key
        return None


def _newest_first(row: KeyRow) -> int:
    return -row.key_id
