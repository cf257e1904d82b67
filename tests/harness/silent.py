"""Bounds of calls that say nothing, as workers have them by default."""

from typing import Final

from argosy.rpc.verify_calls import SilentBounds

SILENT: Final = SilentBounds(256, 5.0)
