"""`argosy support-bundle`: one file for somebody who helps, without secrets and without what tenants sent."""

import asyncio
import json
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import typer

from argosy import config
from argosy.cli.options import URL, Url
from argosy.clock import SystemClock
from argosy.config import Settings
from argosy.errors import SettingError
from argosy.support.bundle import Bounds, Reader

# What the bundle has of a gateway: its list of workers and lanes, who owns what, who leads, shards, workflows.
_VIEWS: Final = {
    "workers": "/v1/fleet?limit=200",
    "partitions": "/v1/fleet/partitions?limit=200",
    "leaders": "/v1/fleet/leaders",
    "shards": "/v1/fleet/shards",
    "moves": "/v1/fleet/moves",
    "workflows": "/v1/workflows?limit=200",
}


def support_bundle(
    out: Annotated[Path | None, typer.Argument(help="A new file, NAME.tar.gz.", dir_okay=False)] = None,
    url: Url = URL,
    metrics: Annotated[
        list[str] | None, typer.Option(help="A process to scrape, http://HOST:PORT; may be repeated.")
    ] = None,
    log: Annotated[
        list[Path] | None, typer.Option(help="A file with log events; may be repeated.", dir_okay=False)
    ] = None,
    part_s: Annotated[
        float | None, typer.Option(min=0.1, help="Seconds for each part, instead of SUPPORT_PART_S.")
    ] = None,
    part_bytes: Annotated[
        int | None, typer.Option(min=1_024, help="Bytes of each part, instead of SUPPORT_PART_SIZE_BYTES_MAX.")
    ] = None,
) -> None:
    """Write settings, versions, the fleet as a gateway sees it, metrics, log events and plans of statements to a file.

    It has no secrets, and nothing that tenants sent. A part that cannot be made is a line of the file's MANIFEST.
    """
    from argosy.support.bundle import make, write
    from argosy.support.redaction import Redaction

    settings, fault = _settings()
    bounds = Bounds(part_s or settings.support_part_s, part_bytes or settings.support_part_size_bytes_max)
    clock = SystemClock()
    now = datetime.fromtimestamp(clock.unix_ms() / 1000, UTC)
    path = out or Path(f"argosy-support-{now:%Y%m%dT%H%M%SZ}.tar.gz")
    made = make(_parts(settings, url, metrics or [], log or [], bounds), bounds, Redaction(_secrets(settings)), clock)
    about = (
        f"made at {now:%Y-%m-%dT%H:%M:%SZ}; each part within {bounds.part_s:g} s and {bounds.part_size_bytes_max} bytes"
    )
    write(path, made, f"{about}\n{fault}".strip())
    for each in made:
        if each.content is None:
            typer.echo(f"{each.name}: {each.said}", err=True)
    typer.echo(path)


def _settings() -> tuple[Settings, str]:
    """Return the settings; where they contradict each other, the defaults, and a line that says so."""
    try:
        return config.load(), ""
    except SettingError as error:
        return Settings(), f"no process would start with these settings, so what follows is of the defaults: {error}"


def _secrets(settings: Settings) -> list[str]:
    from argosy.cli.credentials import stored
    from argosy.support.setting_list import secrets_here

    found = [str(getattr(settings, name)) for name in config.secret_names()]
    try:
        return [*found, *secrets_here(settings.argosy_data_dir), *stored().tokens()]
    except SettingError:  # a file that cannot be read: nothing is asked with what it has
        return found


def _parts(settings: Settings, url: str, metrics: list[str], logs: list[Path], bounds: Bounds) -> dict[str, Reader]:
    from argosy.store import support as store
    from argosy.support import log_excerpt, metrics_page, setting_list, versions

    most = bounds.part_size_bytes_max
    parts: dict[str, Reader] = {
        "settings.json": lambda: _json(setting_list.list_settings()),
        "versions.json": lambda: _json(versions.versions()),
        "postgres.json": lambda: _json(asyncio.run(store.server(_dsn(settings)))),
        "plans.txt": lambda: asyncio.run(store.plans(_dsn(settings))).encode(),
        "slowest.json": lambda: _json(_installed(asyncio.run(store.slowest(_dsn(settings))))),
        "kafka.json": lambda: _json(_brokers(settings)),
    }
    parts |= {f"fleet/{name}.json": partial(_view, url, path, bounds) for name, path in _VIEWS.items()}
    for number, each in enumerate(metrics, 1):
        parts[f"metrics/{number}-{_file_name(each)}.txt"] = partial(metrics_page.read, each, bounds.part_s, most)
    for number, file in enumerate(logs, 1):
        parts[f"logs/{number}-{_word(file.name)}.jsonl"] = partial(log_excerpt.read, file, most)
    return parts


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str).encode() + b"\n"


def _dsn(settings: Settings) -> str:
    from argosy.cli import graph_calls

    if dsn := graph_calls.running_dsn(settings):
        return dsn
    raise SettingError("STATE_DB_URI is not set, and no `argosy up` runs here")


def _installed(found: Any) -> Any:
    if found is None:
        raise SettingError("pg_stat_statements is not installed in this database")
    return found


def _brokers(settings: Settings) -> Any:
    if settings.log_backend != "kafka":
        raise SettingError("the log is Postgres: there are no brokers")
    from argosy.extras import needed

    with needed():
        from argosy.logs.kafka_brokers import brokers
    return asyncio.run(brokers(settings))


def _view(url: str, path: str, bounds: Bounds) -> bytes:
    from argosy.cli.credentials import open_client

    with open_client(url, retry_s=0) as client:
        return _json(client.request("GET", path, answer_s=bounds.part_s))


def _file_name(url: str) -> str:
    return _word(urlsplit(url).netloc.rpartition("@")[2])


def _word(text: str) -> str:
    return "".join(each if each.isalnum() or each in "._-" else "-" for each in text)
