"""The keys that seal payloads at rest: `argosy keys`. They need STATE_DB_URI, or a running `argosy up`."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from argosy.cli.options import dsn_of, load_settings
from argosy.config import Settings
from argosy.errors import SettingError

if TYPE_CHECKING:
    from argosy.seal.master import MasterKeys
    from argosy.store.tenant_key import TenantKeys

T = TypeVar("T")

app = typer.Typer(help="Keys that seal payloads at rest (PAYLOAD_KEYS).", no_args_is_help=True)

_USED: Final = frozenset(
    {
        *("state_db_uri", "state_db_pool_size", "state_db_timeout_s", "argosy_data_dir", "argosy_workflows"),
        *("payload_keys", "payload_keys_hook", "payload_keys_timeout_s", "log_level", "log_format"),
    }
)


@app.command()
def check() -> None:
    """Look whether every tenant's key can be unwrapped with these master keys. Exit code 1 when one cannot."""
    from argosy.store.key_care import check_keys

    found, first = asyncio.run(_with_keys(load_settings(_USED), check_keys))
    for name, count in sorted(found.masters.items()):
        typer.echo(f"{name}: wraps {count} keys{'' if name != first else ', and new ones'}")
    if first not in found.masters:
        typer.echo(f"{first}: wraps new keys, and no other yet")
    for line in found.lost:
        typer.echo(f"lost: {line}")
    sys.exit(1 if found.lost else 0)


@app.command()
def rotate() -> None:
    """Let the first master key wrap the keys of all tenants. No payload is touched; the same again changes nothing."""
    from argosy.store.key_care import rewrap_keys

    count, first = asyncio.run(_with_keys(load_settings(_USED), rewrap_keys))
    typer.echo(f"{count} keys are wrapped by {first} now; no other master key is needed any more")


@app.command()
def write(
    file: Annotated[
        Path, typer.Argument(help="An older one of this installation is replaced, if it has no others.", dir_okay=False)
    ],
) -> None:
    """Write the keys of all tenants, wrapped as they are now, to a file: `argosy restore --keys` reads it."""
    from argosy.backup.keys import needed_of, write_keys
    from argosy.cli.graph_calls import running_dsn
    from argosy.store.backup import read_keys

    settings = load_settings(_USED)
    found = asyncio.run(read_keys(running_dsn(settings) or dsn_of(settings)))
    write_keys(file, found)
    count = len(needed_of(found.keys))
    typer.echo(f"{count} keys are in {file.resolve()}; a file from before may have some that are gone")


async def _with_keys(settings: Settings, look: "Callable[[TenantKeys, MasterKeys], Awaitable[T]]") -> tuple[T, str]:
    """Return what `look` returns, and the name of the first master key."""
    from argosy.cli.graph_calls import running_dsn
    from argosy.store.pool import open_pool
    from argosy.store.tenant_key import TenantKeys
    from argosy.workflow.master_keys import load_master_keys

    masters = load_master_keys(settings)
    if masters is None:
        raise SettingError("PAYLOAD_KEYS is not set, nor PAYLOAD_KEYS_HOOK: payloads are not sealed")
    async with open_pool(settings, running_dsn(settings) or dsn_of(settings)) as pool:
        return await look(TenantKeys(pool), masters), masters.first
