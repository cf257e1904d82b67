"""Loads a function of the user's that a setting names as module:function. That runs the user's code."""

from pathlib import Path
from typing import Any

from argosy.config import Settings
from argosy.errors import SettingError
from argosy.workflow.catalog import broken_of, load_module, make_neighbours_importable


def load_function(settings: Settings, named: str, setting: str, example: str) -> Any:
    """Return what a setting names. Raises SettingError, which says in one line what is wrong.

    The module is one that is installed, or stands in the current folder or beside a file of ARGOSY_WORKFLOWS.
    """
    module, _, name = named.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), name)):
        raise SettingError(f"{setting} is module:function, such as {example}, not {named!r}")
    for entry in settings.argosy_workflows:
        if entry.endswith(".py") and (path := Path(entry).expanduser().resolve()).is_file():
            make_neighbours_importable(path)
    try:
        return getattr(load_module(module), name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the edge of user code
        raise SettingError(f"{setting} cannot be loaded: {broken_of(named, error)}") from error
