"""Where settings are set: config.json, `.env` and the environment, which nothing else of Argosy reads."""

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic_settings import BaseSettings, DotEnvSettingsSource

from argosy.ambient import is_of_others
from argosy.errors import SettingError
from argosy.secret_files import SUFFIX, InFile

# Names of the shared configuration that this version does not read. Those that are set are logged at start.
LADDER_NAMES_WITHOUT_USE: Final = frozenset(
    {
        "ACTION_POLICY_PATH", "DEPLOY_WATCH_POLL", "DEPLOY_WATCH_WINDOW", "EPISTEMIC_GRAPH_AUTOSTART",
        "EVOLUTION_WORKTREE_ROOT", "FLEET_ACTUATOR", "FLEET_AUTOSCALER", "FLEET_AUTOSCALER_INTERVAL",
        "FLEET_DESIRED_STATE_PATH", "FLEET_EVENTS_TOKEN", "FLEET_RECONCILER", "FLEET_RECONCILER_INTERVAL",
        "FLEET_RECONCILER_MAX_ACTIONS", "FLEET_REGISTRY_PATH", "GRAPH_BACKEND", "GRAPH_BACKEND_L1", "GRAPH_BACKEND_L2",
        "GRAPH_DB_URI", "KG_DAEMON_ROLE", "KG_DEFAULT_GRAPH", "KG_DEV_MODE", "KG_ENGINE_INSECURE",
        "KG_FAILURE_EVOLUTION", "KG_FAILURE_EVOLUTION_INTERVAL", "KG_FAILURE_EVOLUTION_WINDOW",
        "KG_FAILURE_REGRESSION_DATASET", "KG_GOLDEN_AUTO_MERGE", "KG_LOOP", "KG_LOOP_BREADTH", "KG_LOOP_DISTILL",
        "KG_LOOP_INTERVAL", "KG_LOOP_STANDARDIZE", "KG_LOOP_TOPICS", "LANGFUSE_HOST",
        "LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY", "SCALING_PROMETHEUS_URL",
    }
)  # fmt: skip

# ARGOSY_ names that are no settings: `load` reads them to find the settings.
BOOTSTRAP_NAMES: Final = frozenset({"ARGOSY_CONFIG_DIR"})


class Known(NamedTuple):
    """The names of all settings, in lower case. secrets: of those whose values may be in files."""

    names: Collection[str]
    secrets: Collection[str]


def config_dir(environ: Mapping[str, str] | None = None) -> Path | None:
    """Return the folder in which `load` looks for config.json, or None when this user has no home."""
    environ = os.environ if environ is None else environ
    if configured := environ.get("ARGOSY_CONFIG_DIR"):
        return Path(configured)
    if configured := environ.get("XDG_CONFIG_HOME"):
        return Path(configured) / "argosy"
    home = _home()
    return None if home is None else home / ".config" / "argosy"


def default_data_dir() -> Path:
    """Return the folder for data: XDG's data folder, or /var/lib/argosy for root and for users without a home.

    Under root Postgres runs with another uid, which must be able to enter the folder; root's home is closed to it.
    """
    home = _home()
    if home is None or (os.name == "posix" and os.geteuid() == 0):
        return Path("/var/lib/argosy")
    return Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share") / "argosy"


def _home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:  # HOME is not set, and the uid has no name
        return None


def given(source: str, layer: Mapping[str, Any], known: Known, used: Collection[str]) -> dict[str, Any]:
    """Return the settings among `used` that one source has; a secret in a file comes as an InFile. Raises SettingError
    for an unknown ARGOSY_ name, or when the source has both NAME and NAME_FILE.
    """
    wanted = {name.upper(): name for name in used}
    in_file = {f"{name.upper()}{SUFFIX}": name for name in known.secrets if name in used}
    ours = (
        BOOTSTRAP_NAMES | {name.upper() for name in known.names} | {f"{name.upper()}{SUFFIX}" for name in known.secrets}
    )
    values: dict[str, Any] = {}
    in_files: dict[str, InFile] = {}
    for raw_name, value in layer.items():
        name = raw_name.upper()
        if is_of_others(name, value):
            continue
        if name in wanted and value != "":
            values[wanted[name]] = value
        elif name in in_file and value != "":
            in_files[in_file[name]] = InFile(name, source, value)
        elif name.startswith("ARGOSY_") and name not in ours:
            raise SettingError(f"{raw_name} (in {source}) is not a setting of Argosy")
    if both := sorted(values.keys() & in_files.keys()):
        raise SettingError(f"{both[0].upper()} and {in_files[both[0]].name} (both in {source}): give one of the two")
    return values | in_files


def layers(
    environ: Mapping[str, str] | None, made: type[BaseSettings], *, is_embedded: bool = False
) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the sources of settings, each with its name for messages, the strongest last. Raises SettingError when a
    file cannot be read.
    """
    environ = os.environ if environ is None else environ
    found: list[tuple[str, Mapping[str, Any]]] = []
    folder = config_dir(environ)
    config_file = None if folder is None else folder / "config.json"
    if config_file is not None and _is_file(config_file):
        try:
            content = json.loads(config_file.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError) as error:
            raise SettingError(f"{config_file}: {error}") from error
        if not isinstance(content, dict):
            raise SettingError(f"{config_file}: must hold one JSON object")
        found.append((str(config_file), content))
    if is_embedded:
        own = {name: value for name, value in environ.items() if name.upper().startswith("ARGOSY_")}
        return [*found, ("the environment", own)]
    if _is_file(Path(".env")):
        try:
            dotenv = DotEnvSettingsSource(
                made, env_file=Path(".env"), env_file_encoding="utf-8-sig", case_sensitive=True
            )
        except (OSError, ValueError) as error:
            raise SettingError(f".env in {Path.cwd()}: {error}") from error
        found.append((".env", {name: value for name, value in dotenv.env_vars.items() if value is not None}))
    found.append(("the environment", environ))
    return found


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except PermissionError:  # a folder that this user may not enter counts as empty
        return False
