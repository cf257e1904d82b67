"""A server that all processes of one run of tests use: the first that asks for it starts it, and ends it last."""

import contextlib
import fcntl
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

_WAIT_S_MAX: Final = 3_600.0  # longer than any process of a run goes on after another one
_LOOK_S: Final = 0.1

Start = Callable[[contextlib.ExitStack], str]


class Shared:
    """folder: of this run, and the same for all of its processes."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._address = folder / "address"
        self._users = folder / "users"  # locked, shared, by each process that uses the server
        self._turn = folder / "turn"  # locked by the one that starts or ends it

    def join(self, start: Start, leaving: contextlib.ExitStack) -> str:
        """The server's address, until `leaving` is closed. start: starts it, and puts its end on the stack."""
        users = leaving.enter_context(self._users.open("a"))
        with self._turn.open("a") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            if _is_alone(users):
                self._address.unlink(missing_ok=True)  # of one that was killed
            fcntl.flock(users, fcntl.LOCK_SH)
            if not self._address.exists():
                server = contextlib.ExitStack()
                self._address.write_text(start(server), encoding="utf-8")
                leaving.callback(self._end, users, server)
            return self._address.read_text(encoding="utf-8")

    def _end(self, users: IO[str], server: contextlib.ExitStack) -> None:
        """End the server when nobody else uses it. Who comes later starts another one."""
        until_s = time.monotonic() + _WAIT_S_MAX
        while True:
            with self._turn.open("a") as turn:
                fcntl.flock(turn, fcntl.LOCK_EX)
                if _is_alone(users) or time.monotonic() > until_s:
                    self._address.unlink()
                    server.close()
                    return
            time.sleep(_LOOK_S)


def _is_alone(users: IO[str]) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
