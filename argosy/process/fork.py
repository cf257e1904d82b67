"""Keeps forked children of this process from inheriting Argosy's sockets and signal handling.

User code forks (multiprocessing, ProcessPoolExecutor, os.fork). A child that outlives this process would hold Argosy's
sockets open: Postgres would not notice that this process was killed, and the advisory lock that is its sign of life
would stay held. And a signal sent to the child would be written to the descriptor that wakes this process's event loop.

Rules:
- A socket is Argosy's when one of its ends is an address that Argosy listens on or connects to. librdkafka and gRPC
  open their sockets in threads of their own and do not expose them, so only addresses can tell. The user's pipes,
  socket pairs, and sockets to other addresses stay as they are.
- In a child, each of Argosy's descriptors becomes /dev/null under the same number. If the number were free, the child
  would use it for another file, which the rest of its former owner would then close.
- A child must not go on as a second worker: where it returns from user code into Argosy's code, it ends (`end_child`).
- In the user's own program (argosy.Argosy) this module handles only sockets and descriptors: signals and the event loop
  are the program's.
"""

import asyncio
import contextlib
import os
import signal
import socket
import stat
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from argosy.process.exiting import end_now

_MAPPED: Final = "::ffff:"
_FD_FOLDERS: Final = (Path("/proc/self/fd"), Path("/dev/fd"))

# The number of forks between the first process and this one. An object made at another depth belongs to a parent.
depth = 0


class _Own:
    """What is Argosy's in this process. Entries are only ever added, except that descriptors are removed, too."""

    def __init__(self) -> None:
        self.peers: set[tuple[str, int] | str] = set()
        self.peer_ports: set[int] = set()
        self.names: set[int | str] = set()
        self.fds: set[int] = set()
        self.signals: dict[int, Any] = {}
        self.loop: asyncio.AbstractEventLoop | None = None
        self.loop_thread: int | None = None
        self.mask = threading.local()
        self.is_registered = False


_own: Final = _Own()


def own_peer(peername: Any) -> None:
    """Register an address that Argosy connects to, as socket.getpeername() returns it."""
    if isinstance(peername, str) and peername:
        _own.peers.add(peername)
    elif isinstance(peername, tuple):
        _own.peers.add((_plain(peername[0]), peername[1]))
    _register()


def own_peer_address(address: str) -> None:
    """Register a `host:port` that Argosy connects to. When the host is a name, only the port is compared, because
    resolving the name takes time.
    """
    host, _, port = address.rpartition(":")
    if not port.isdecimal():
        return
    host = host.strip("[]")
    if _is_address(host):
        _own.peers.add((_plain(host), int(port)))
    else:
        _own.peer_ports.add(int(port))
    _register()


def own_name(name: int | str) -> None:
    """Register a port, or the path of a socket, that Argosy listens on."""
    _own.names.add(name)
    if isinstance(name, str):
        _own.peers.add(name)
    _register()


def own_fd(fd: int) -> None:
    """Register the descriptor of a pipe or a lock that shows that this process lives. Call `disown_fd` before closing
    it.
    """
    _own.fds.add(fd)
    _register()


def disown_fd(fd: int) -> None:
    _own.fds.discard(fd)


def protect(loop: asyncio.AbstractEventLoop, numbers: Sequence[int]) -> None:
    """Protect the event loop and signals of a process that is Argosy's alone. A forked child gets Python's default
    handlers of these signals, does not wake this loop, and ends when it returns to the loop. Call it from the loop's
    thread, after the handlers are set.
    """
    _own.loop = loop
    _own.loop_thread = threading.get_ident()
    _own.signals = {number: signal.getsignal(number) for number in numbers}
    _register()


def end_child(error: BaseException | None) -> NoReturn:
    """End a forked child that has returned from user code, as Python would end a program there. error: the exception
    with which the user code ended.
    """
    code = 0
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    elif error is not None:
        traceback.print_exception(error)
        code = 1
    end_now(code)


def _register() -> None:
    if not _own.is_registered:
        _own.is_registered = True
        os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)


def _before() -> None:
    """Block signals around the fork: one that the child gets before `_in_child` has set its handlers must wait."""
    if _own.signals:
        _own.mask.before = signal.pthread_sigmask(signal.SIG_BLOCK, _own.signals)


def _in_parent() -> None:
    _unmask()


def _in_child() -> None:
    global depth
    depth += 1
    for step in (_drop_sockets, _drop_signals, _drop_loop):
        _safely(step)
    _own.peers.clear()
    _own.peer_ports.clear()
    _own.names.clear()
    _unmask()
    _own.signals = {}


def _unmask() -> None:
    before = _own.mask.__dict__.pop("before", None)
    if before is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _safely(step: Callable[[], None]) -> None:
    try:
        step()
    except Exception:
        traceback.print_exc()


def _drop_sockets() -> None:
    doomed = {fd for fd in _open_fds() if fd in _own.fds or _is_ours(fd)}
    _own.fds.clear()
    if not doomed:
        return
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for fd in doomed:
        os.dup2(null, fd, inheritable=False)
    os.close(null)


def _drop_signals() -> None:
    if not _own.signals:
        return
    signal.set_wakeup_fd(-1)
    for number, ours in _own.signals.items():
        if signal.getsignal(number) == ours:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def _drop_loop() -> None:
    loop, _own.loop = _own.loop, None
    if loop is not None and _own.loop_thread == threading.get_ident():
        loop.call_soon(_come_back)


def _come_back() -> None:
    sys.stderr.write("argosy: a forked child of a step came back to the worker's event loop: it ends (use os._exit)\n")
    end_now(1)


def _open_fds() -> list[int]:
    for folder in _FD_FOLDERS:
        with contextlib.suppress(OSError):
            return [int(each.name) for each in folder.iterdir() if each.name.isdecimal()]
    return []


def _is_ours(fd: int) -> bool:
    try:
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            return False
        found = socket.socket(fileno=fd)
    except OSError:
        return False
    try:
        return _is_own_name(_ask(found.getsockname)) or _is_own_peer(_ask(found.getpeername))
    finally:
        found.detach()


def _ask(question: Callable[[], Any]) -> Any:
    try:
        return question()
    except OSError:  # the socket is not connected
        return None


def _is_own_name(name: Any) -> bool:
    return (name[1] if isinstance(name, tuple) and len(name) > 1 else name) in _own.names


def _is_own_peer(peer: Any) -> bool:
    if isinstance(peer, tuple) and len(peer) > 1:
        return peer[1] in _own.peer_ports or (_plain(peer[0]), peer[1]) in _own.peers
    return peer in _own.peers


def _plain(host: Any) -> str:
    return str(host).removeprefix(_MAPPED).partition("%")[0]


def _is_address(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return True
    return False
