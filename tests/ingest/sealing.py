"""A codec with one key, for tests without a database. errors: raised first; is_on: whether it opens anything."""

from collections.abc import Iterable, Mapping

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from argosy.seal.codec import Codec, Opener, Sealer, Value
from argosy.seal.envelope import seal, unseal

KEY = AESGCM(b"1" * 32)


class HandSealer:
    def seal(self, data: bytes, place: bytes) -> bytes:
        return seal(KEY, 1, data, place)

    def digest(self, content: bytes) -> bytes:
        return bytes(16)


class HandOpener(Opener):
    def open(self, tenant: str, value: bytes, place: bytes) -> bytes:
        return unseal(KEY, value, place)


class HandCodec(Codec):
    is_on = True

    def __init__(self) -> None:
        self.errors: list[Exception] = []

    async def sealers(self, tenants: Iterable[str]) -> Mapping[str, Sealer]:
        return {each: HandSealer() for each in tenants}

    async def opener(self, values: Iterable[Value]) -> Opener:
        if self.errors:
            raise self.errors.pop(0)
        return HandOpener()
