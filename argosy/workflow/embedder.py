"""Loads the function that makes vectors of texts: EMBEDDER=module:function. That runs the user's code."""

from pathlib import Path

from argosy.config import Settings
from argosy.errors import SettingError
from argosy.graph.embedder import Embedder
from argosy.workflow.catalog import broken_of, load_module, make_neighbours_importable


def load_embedder(settings: Settings) -> Embedder | None:
    """Return what EMBEDDER names; None when it is not set. Raises SettingError, which says in one line what is wrong.

    The module is one that is installed, or stands in the current folder or beside a file of ARGOSY_WORKFLOWS.
    """
    named = settings.embedder
    if not named:
        return None
    module, _, name = named.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), name)):
        raise SettingError(f"EMBEDDER is module:function, such as shop.vectors:embed, not {named!r}")
    for entry in settings.argosy_workflows:
        if entry.endswith(".py") and (path := Path(entry).expanduser().resolve()).is_file():
            make_neighbours_importable(path)
    try:
        function = getattr(load_module(module), name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the edge of user code
        raise SettingError(f"EMBEDDER cannot be loaded: {broken_of(named, error)}") from error
    if not callable(function):
        raise SettingError(f"EMBEDDER={named} is no function")
    return Embedder(function, settings)
