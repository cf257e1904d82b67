"""The settings of this machine: of each its value or default, and where it was set; of a secret, whether it is set."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from argosy import config
from argosy.config import Settings, secret_names
from argosy.config.sources import Known, given, layers
from argosy.errors import SettingError
from argosy.secret import SECRET_FILE_NAME
from argosy.secret_files import InFile, read_secret


def list_settings(environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return all settings by name, and under `fault` why no process would start with them; empty when one would.

    Raises SettingError when a file of settings cannot be read.
    """
    found: dict[str, tuple[Any, str]] = {}
    faults = []
    for source, layer in layers(environ, Settings):
        try:
            values = given(source, layer, Known(Settings.model_fields, secret_names()), Settings.model_fields)
        except SettingError as error:
            faults.append(str(error))
            continue
        found |= {name: (value, source) for name, value in values.items()}
    if not faults:
        try:
            config.load(environ)
        except SettingError as error:
            faults.append(str(error))
    secrets = set(secret_names())
    return {
        "fault": "; ".join(faults),
        "settings": {
            name.upper(): _shown(found.get(name), field.default, is_secret=name in secrets)
            for name, field in Settings.model_fields.items()
        },
    }


def _shown(found: tuple[Any, str] | None, default: Any, *, is_secret: bool) -> dict[str, Any]:
    if found is None:
        return {"value": "not set" if is_secret else _text(default), "from": "default"}
    value, source = found
    if is_secret:
        return {"value": "set in a file" if isinstance(value, InFile) else "set", "from": source}
    return {"value": _text(value), "from": source}


def _text(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def secrets_here(data_dir: Path, environ: Mapping[str, str] | None = None) -> Sequence[str]:
    """Return the values of all secrets that this user's settings have, of any source, and those of the data folder.

    One that cannot be read is not there: nor could anything that this command reads have it from there.
    """
    values: list[str] = []
    names = {name.upper() for name in secret_names()}
    files = [data_dir / SECRET_FILE_NAME, *data_dir.glob("*token*")]
    for source, layer in layers(environ, Settings):
        for raw_name, value in layer.items():
            name = raw_name.upper()
            if name in names:
                values.append(str(value))
            elif name.removesuffix("_FILE") in names:
                try:
                    values.append(read_secret(InFile(name, source, value)))
                except SettingError:
                    continue
    for path in files:
        try:
            values.append(path.read_text(encoding="utf-8").strip())
        except (OSError, UnicodeDecodeError):
            continue
    return values
