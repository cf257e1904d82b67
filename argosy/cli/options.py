"""What commands have in common: their options, and how they read the settings."""

from typing import Annotated, Any

import typer

from argosy import config, log_lines, telemetry
from argosy.config import Settings
from argosy.errors import SettingError

ParentFd = Annotated[int | None, typer.Option(hidden=True, help="End when this pipe closes.")]
Url = Annotated[str, typer.Option("--url", help="The gateway.")]
URL = "http://127.0.0.1:9000"
Limit = Annotated[int, typer.Option(min=1, max=1_000, help="How many at the most.")]
Cursor = Annotated[str, typer.Option(help="`next` of the page before this one.")]


def load_settings(used: frozenset[str] | None = None, **overrides: Any) -> Settings:
    """Return the settings of this process, and set up its logging. used: the names that this command reads; a bad value
    of another one is no error. overrides: what options of the command say. Raises SettingError.
    """
    settings = config.load(used=used, **overrides)
    log_lines.set_up_logging(settings.log_level, settings.log_format)
    if unused := config.names_without_use():
        telemetry.logger().info(telemetry.SETTINGS_WITHOUT_USE, names=", ".join(unused))
    return settings


def dsn_of(settings: Settings) -> str:
    """Return the address of the user's Postgres. Raises SettingError when none is named."""
    if not settings.state_db_uri:
        raise SettingError("STATE_DB_URI is not set: name your Postgres, or use `argosy up`, which brings one")
    return settings.state_db_uri
