"""What processes of every kind count."""

from importlib.metadata import version
from typing import Final

from argosy.telemetry.room import Room

_ROOM: Final = Room("Every process")

CALLS_REFUSED = _ROOM.counter(
    "argosy_calls_refused", "Calls that callers or callees ended because a message was not signed for them"
)
PAYLOADS_UNREADABLE = _ROOM.counter("argosy_payloads_unreadable", "Sealed payloads that did not open")
LOOP_ERRORS = _ROOM.counter("argosy_loop_errors", "Errors that a loop outlived, by what they mean", ["loop", "fault"])
LOOP_FAILING = _ROOM.gauge("argosy_loop_failing", "1 while the last round of a loop failed", ["loop"])
_BUILD_INFO = _ROOM.gauge("argosy_build_info", "1; version: of Argosy", ["version"])

_BUILD_INFO.labels(version=version("argosy")).set(1)
