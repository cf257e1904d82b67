"""What an operator does with the keys of tenants: looks whether all can be unwrapped, and has them wrapped anew.

No payload is touched. Raises: StoreUnavailableError, KeysUnavailableError
"""

import os
from collections import Counter
from collections.abc import AsyncIterator
from typing import Final, NamedTuple

from argosy.errors import InternalError
from argosy.seal.envelope import KEY_SIZE_BYTES
from argosy.seal.errors import PayloadUnreadableError
from argosy.seal.master import MasterKeys
from argosy.store.tenant_key import KeyRow, TenantKeys

_PAGE_ROWS: Final = 500
_NOBODY: Final = ""  # no tenant has this name


class KeysFound(NamedTuple):
    """What a look at all keys came to. masters: the keys wrapped by each; lost: why some cannot be unwrapped here."""

    masters: dict[str, int]
    lost: list[str]


async def check_keys(rows: TenantKeys, masters: MasterKeys) -> KeysFound:
    """Look whether this process can wrap a key, and unwrap every one that is there."""
    probe = os.urandom(KEY_SIZE_BYTES)
    if await masters.unwrap(await masters.wrap(probe, _NOBODY, 0), _NOBODY, 0) != probe:
        raise InternalError("what PAYLOAD_KEYS_HOOK wraps, it unwraps to something else")
    found: Counter[str] = Counter()
    lost = []
    async for row in _all(rows):
        found[row.master or ""] += 1
        try:
            await _unwrapped(row, masters)
        except PayloadUnreadableError as error:
            lost.append(str(error))
    return KeysFound(dict(found), lost)


async def rewrap_keys(rows: TenantKeys, masters: MasterKeys) -> int:
    """Let the first master key wrap all keys; return how many another one had wrapped. Raises PayloadUnreadableError
    for one that cannot be unwrapped; those before it are done, and the same again does the others.
    """
    count = 0
    async for row in _all(rows):
        if row.master != masters.first:
            key = await _unwrapped(row, masters)
            await rows.rewrap(row, await masters.wrap(key, row.tenant, row.key_id))
            count += 1
    return count


async def _all(rows: TenantKeys) -> AsyncIterator[KeyRow]:
    tenant, key_id = "", 0
    while page := await rows.after(tenant, key_id, _PAGE_ROWS):
        for row in page:
            yield row
        tenant, key_id = page[-1].tenant, page[-1].key_id


async def _unwrapped(row: KeyRow, masters: MasterKeys) -> bytes:
    if row.secret is None:
        raise PayloadUnreadableError(f"key {row.key_id} of tenant {row.tenant!r} was destroyed")
    return await masters.unwrap(row.secret, row.tenant, row.key_id)
