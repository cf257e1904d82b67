"""Master keys wrap the keys of tenants, each for its tenant and its number."""

import time

import pytest

from argosy.errors import SettingError
from argosy.seal.errors import KeysUnavailableError, PayloadUnreadableError
from argosy.seal.master import HOOK, KeyRefusedError, MasterKeys, Wrapped, master_keys, name_of

OLD, NEW, DATA = bytes([1]) * 32, bytes([2]) * 32, bytes([3]) * 32


class KmsOfTests:
    """error: raised by every call from now on."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.delay_s = 0.0

    def wrap(self, key: bytes, context: str) -> bytes:
        return self._answer(context.encode() + b"|" + key[::-1])

    def unwrap(self, wrapped: bytes, context: str) -> bytes:
        of, _, key = wrapped.partition(b"|")
        if of != context.encode():
            raise KeyRefusedError
        return self._answer(key[::-1])

    def _answer(self, answer: bytes) -> bytes:
        time.sleep(self.delay_s)
        if self.error is not None:
            raise self.error
        return answer


async def test_all_unwrap_and_the_first_one_wraps() -> None:
    old = await MasterKeys([OLD], None, 1.0).wrap(DATA, "acme", 1)
    both = MasterKeys([NEW, OLD], None, 1.0)

    assert old.master == name_of(OLD)
    assert await both.unwrap(old, "acme", 1) == DATA
    assert (await both.wrap(DATA, "acme", 1)).master == name_of(NEW)
    with pytest.raises(PayloadUnreadableError, match=name_of(OLD)):
        await MasterKeys([NEW], None, 1.0).unwrap(old, "acme", 1)


@pytest.mark.parametrize(("tenant", "key_id"), [("acme2", 1), ("acme", 2)])
async def test_a_key_is_of_its_tenant_and_number(tenant: str, key_id: int) -> None:
    masters = MasterKeys([OLD], None, 1.0)

    with pytest.raises(PayloadUnreadableError):
        await masters.unwrap(await masters.wrap(DATA, "acme", 1), tenant, key_id)


async def test_a_changed_key_is_none() -> None:
    masters = MasterKeys([OLD], None, 1.0)
    wrapped = await masters.wrap(DATA, "acme", 1)

    with pytest.raises(PayloadUnreadableError):
        await masters.unwrap(Wrapped(wrapped.master, wrapped.data[:-1]), "acme", 1)


async def test_a_kms_wraps_in_place_of_the_first_key() -> None:
    kms = KmsOfTests()
    masters = MasterKeys([OLD], kms, 1.0)
    wrapped = await masters.wrap(DATA, "acme", 1)

    assert wrapped.master == HOOK
    assert await masters.unwrap(wrapped, "acme", 1) == DATA
    assert await masters.unwrap(await MasterKeys([OLD], None, 1.0).wrap(DATA, "acme", 1), "acme", 1) == DATA
    with pytest.raises(PayloadUnreadableError):
        await masters.unwrap(wrapped, "acme2", 1)


async def test_a_kms_that_is_away_is_not_one_that_refuses() -> None:
    kms = KmsOfTests()
    masters = MasterKeys([], kms, 0.05)
    wrapped = await masters.wrap(DATA, "acme", 1)

    kms.error = OSError("no route")
    with pytest.raises(KeysUnavailableError, match="no route"):
        await masters.unwrap(wrapped, "acme", 1)
    kms.error, kms.delay_s = None, 0.2
    with pytest.raises(KeysUnavailableError, match="TimeoutError"):
        await masters.unwrap(wrapped, "acme", 1)


def test_keys_are_hex_or_base64() -> None:
    assert master_keys(f" {OLD.hex()} , AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=,") == [OLD, NEW]
    assert master_keys("") == []


@pytest.mark.parametrize("text", ["abcd", OLD.hex()[:-2], f"{OLD.hex()}, {'x' * 64}", f"{OLD.hex()},{OLD.hex()}"])
def test_what_is_no_key_is_not_quoted(text: str) -> None:
    with pytest.raises(SettingError) as caught:
        master_keys(text)
    assert all(part.strip() not in str(caught.value) for part in text.split(","))
