"""A codec for tests without Postgres: one key of each tenant, until it is lost."""

from collections.abc import Iterable, Mapping
from hashlib import sha256

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from argosy.seal.codec import Codec, Opener, Sealer, Value
from argosy.seal.envelope import is_sealed, unseal
from argosy.seal.errors import PayloadUnreadableError
from argosy.store.seals import DataKey, TenantSealer

KEY_ID = 7


def _key_of(tenant: str) -> DataKey:
    secret = sha256(tenant.encode()).digest()
    return DataKey(secret, AESGCM(secret), 0.0)


class _Opens(Opener):
    def __init__(self, lost: set[str]) -> None:
        self._lost = lost

    def open(self, tenant: str, value: bytes, place: bytes) -> bytes:
        if not is_sealed(value):
            return value
        if tenant in self._lost:
            raise PayloadUnreadableError(f"key {KEY_ID} of tenant {tenant!r} was destroyed")
        return unseal(_key_of(tenant).cipher, value, place)


class OneKey(Codec):
    """lost: tenants whose keys were destroyed."""

    is_on = True

    def __init__(self) -> None:
        self.lost: set[str] = set()

    async def sealers(self, tenants: Iterable[str]) -> Mapping[str, Sealer]:
        return {each: TenantSealer(KEY_ID, _key_of(each), _key_of(each), 0) for each in tenants}

    async def opener(self, values: Iterable[Value]) -> Opener:
        list(values)
        return _Opens(self.lost)
