"""Lets the pool of a process seal and open payloads, and checks that it can before it starts."""

from argosy.clock import Clock
from argosy.config import Settings
from argosy.errors import SettingError
from argosy.seal.master import MasterKeys
from argosy.store.pool import Pool
from argosy.store.seals import Seals
from argosy.store.tenant_key import TenantKeys


def seal_payloads(pool: Pool, masters: MasterKeys | None, clock: Clock, settings: Settings) -> None:
    """Seal what is written by this pool, and open what is read. masters: None: payloads are not sealed."""
    if masters is not None:
        pool.seal_with(Seals(TenantKeys(pool), masters, clock, settings))


async def check_masters(pool: Pool, masters: MasterKeys | None) -> None:
    """Return when this process can open what the database has. Raises SettingError, StoreUnavailableError."""
    used = await TenantKeys(pool).masters()
    if not used:
        return
    if masters is None:
        raise SettingError(
            "payloads in this database are sealed: set PAYLOAD_KEYS, or PAYLOAD_KEYS_HOOK, as at the others"
        )
    if missing := [f"{name} ({count} keys)" for name, count in used.items() if not masters.has(name)]:
        raise SettingError(
            f"keys of tenants are wrapped by master keys that this process lacks: {', '.join(missing)}. Add them to "
            "PAYLOAD_KEYS, behind the first one; `argosy keys check` shows which are here"
        )
