"""The wall clock of one process, stepped while it runs; its monotonic clock goes on (libfaketime, as Debian has it)."""

import time
from pathlib import Path

_LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
_READ_EVERY_S = 1


class SteppedClock:
    """environment: for the process, from its start. step: from now on, seen within about a second."""

    def __init__(self, file: Path, ahead_s: int = 0) -> None:
        self._file = file
        self.ahead_s = ahead_s
        self.step(ahead_s)

    @property
    def is_possible(self) -> bool:
        return _LIBRARY is not None

    @property
    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(_LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": str(_READ_EVERY_S),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1",
        }

    def step(self, ahead_s: int) -> None:
        """Ahead of this machine's clock; below 0: behind it."""
        draft = self._file.with_suffix(".draft")
        draft.write_text(f"{ahead_s:+d}\n")
        draft.rename(self._file)  # nobody reads half of it
        self.ahead_s = ahead_s

    def is_shown_by(self, unix_s: float) -> bool:
        """Whether somebody who read this time a moment ago read it from this clock."""
        return abs(unix_s - time.time() - self.ahead_s) < 60
