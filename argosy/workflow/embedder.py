"""Loads the function that makes vectors of texts: EMBEDDER=module:function. That runs the user's code."""

from argosy.config import Settings
from argosy.errors import SettingError
from argosy.graph.embedder import Embedder
from argosy.workflow.named_function import load_function


def load_embedder(settings: Settings) -> Embedder | None:
    """Return what EMBEDDER names; None when it is not set. Raises SettingError."""
    named = settings.embedder
    if not named:
        return None
    function = load_function(settings, named, "EMBEDDER", "shop.vectors:embed")
    if not callable(function):
        raise SettingError(f"EMBEDDER={named} is no function")
    return Embedder(function, settings)
