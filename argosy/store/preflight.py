"""Checks a Postgres server before Argosy trusts anything to it.

Errors stop the start (SettingError); warnings say in plain words what a crash can cost.
"""

from collections.abc import Mapping
from typing import Final

from argosy.errors import SettingError
from argosy.store.patience import when_ready
from argosy.store.pool import UNAVAILABLE, connect, unavailable
from argosy.store.pooler import refuse_pooler
from argosy.store.protection import unprotected
from argosy.store.queries import load_queries
from argosy.store.session_settings import EXPECTED, SESSION_SETTINGS

_SQL: Final = load_queries("preflight")
_SETTINGS_SQL: Final = load_queries("session_settings")
# Not the tcp_ settings: behind a proxy they apply between the proxy and the server, and on a Unix socket not at all.
_NEEDED: Final = {name: value for name, value in SESSION_SETTINGS.items() if not name.startswith("tcp_")}
_TEMP_FILE_LIMIT_KB_MIN: Final = 65_536
_VERSION_MIN: Final = 15_00_00


async def check(dsn: str) -> list[str]:
    """Return warnings about the server. Waits while it has no free connection.

    Raises SettingError, StoreUnavailableError.
    """
    await refuse_pooler(dsn)
    connection = await when_ready(lambda: connect(dsn, application="argosy preflight"))
    try:
        facts = await connection.fetchrow(_SQL["server_facts"])
        if facts["version"] < _VERSION_MIN:
            raise SettingError(
                f"STATE_DB_URI: PostgreSQL {facts['version'] // 10_000} is too old, 15 is the oldest that works"
            )
        if facts["in_recovery"]:
            raise SettingError("STATE_DB_URI: this server is in recovery (a standby): name the primary")
        if facts["read_only"] == "on":
            raise SettingError(
                "STATE_DB_URI: this database is read-only (default_transaction_read_only is on, for the server, the "
                "database or the role): set it to off when it may be written to again"
            )
        found = dict(await connection.fetch(_SETTINGS_SQL["list_settings"], [*_NEEDED, *EXPECTED]))
        if fault := session_fault(found):
            raise SettingError(f"STATE_DB_URI: {fault}")
        standbys = await connection.fetchval(_SQL["async_standbys"])
        warnings = warnings_of(facts["fsync"], facts["full_page_writes"], facts["synchronous_commit"], standbys)
        return [*unprotected(connection), *warnings, *_limits(facts["temp_file_limit_kb"])]
    except UNAVAILABLE as error:
        raise unavailable(error) from error
    finally:
        connection.terminate()


def session_fault(found: Mapping[str, str]) -> str:
    """Return what is wrong with the settings that a session got, in words; empty when nothing is."""
    if lost := [f"{name}={value}" for name, value in _NEEDED.items() if found.get(name) != value]:
        return (
            f"sessions do not get the settings that they ask for ({', '.join(lost)}), because of a proxy between or of "
            "the server: name the server itself, or ALTER ROLE … SET them"
        )
    for name, (value, consequence) in EXPECTED.items():
        if found.get(name, value) != value:
            return f"{name} is {found[name]} for this server, database or role, so {consequence}: set it to {value}"
    return ""


def _limits(temp_file_limit_kb: int) -> list[str]:
    if 0 <= temp_file_limit_kb < _TEMP_FILE_LIMIT_KB_MIN:
        return [f"temp_file_limit is {temp_file_limit_kb} kB: a large batch or history may be refused for good"]
    return []


def warnings_of(fsync: str, full_page_writes: str, synchronous_commit: str, async_standbys: int) -> list[str]:
    """Return a line for each setting with which a crash can lose what was answered."""
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
