"""Looks at a Postgres before anything is trusted to it.

Errors stop the start (SettingError); warnings say in plain words what a crash can cost.
"""

from typing import Final

from argosy.errors import SettingError
from argosy.store.pool import UNAVAILABLE, connect, unavailable
from argosy.store.pooler import refuse_pooler
from argosy.store.queries import load_queries

_SQL: Final = load_queries("preflight")
_VERSION_MIN: Final = 15_00_00


async def check(dsn: str) -> list[str]:
    """The warnings. Raises SettingError, StoreUnavailableError."""
    await refuse_pooler(dsn)
    connection = await connect(dsn, application="argosy preflight")
    try:
        facts = await connection.fetchrow(_SQL["server_facts"])
        if facts["version"] < _VERSION_MIN:
            raise SettingError(
                f"STATE_DB_URI: PostgreSQL {facts['version'] // 10_000} is too old, 15 is the oldest that works"
            )
        if facts["in_recovery"]:
            raise SettingError("STATE_DB_URI: this server is in recovery (a standby): name the primary")
        standbys = await connection.fetchval(_SQL["async_standbys"])
        return _warnings(facts["fsync"], facts["full_page_writes"], facts["synchronous_commit"], standbys)
    except UNAVAILABLE as error:
        raise unavailable(error) from error
    finally:
        connection.terminate()


def _warnings(fsync: str, full_page_writes: str, synchronous_commit: str, async_standbys: int) -> list[str]:
    warnings = []
    if fsync == "off":
        warnings.append("fsync is off: a power loss or a crash of the machine can destroy the database")
    if full_page_writes == "off":
        warnings.append(
            "full_page_writes is off: a crash of the machine can tear pages, unless the file system prevents it"
        )
    if synchronous_commit == "off":
        warnings.append("synchronous_commit is off: what was committed in the last moments before a crash is lost")
    if async_standbys:
        warnings.append(f"{async_standbys} standby(s) are asynchronous: a failover to one loses the last commits")
    return warnings
