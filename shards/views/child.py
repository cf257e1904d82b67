"""The child process of a view: holds one graph in memory, and answers what the shard asks on its standard input.

kglite is not trusted: it reads files, takes what memory a query makes it take, and may crash. So the process has an
empty environment and folder, cannot open a file or a connection once it has begun (it may have no further
descriptor), cannot write a file, cannot take more memory than it was given, yields to other processes, is the first
that the kernel ends when memory is short, and ends with the shard.
"""

import ctypes
import os
import resource
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, Final

import kglite
import msgspec

from argosy.shards.views.asked import answer
from argosy.shards.views.contents import Contents
from argosy.shards.views.frames import HEAD, NO_MEMORY, Answered, Apply, Ask, Done, Load, Reply, decode_request, framed
from argosy.shards.views.running import Running

_PR_SET_PDEATHSIG: Final = 1  # of linux/prctl.h
_NICE: Final = 10  # a query, however costly, comes after what the shard itself has to do
_PROC: Final = Path("/proc/self")
_PAGE: Final = resource.getpagesize()


def main(parent_pid: int, memory_bytes_max: int) -> None:
    """Serve until the shard closes the pipe or ends."""
    if prctl := getattr(ctypes.CDLL(None), "prctl", None):
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:  # it ended before prctl
        return
    kglite.set_query_warning_policy("silent")
    statm = os.open("/proc/self/statm", os.O_RDONLY) if _PROC.exists() else None
    confine(statm, memory_bytes_max)
    try:
        _Child(statm).serve()
    except MemoryError:
        os._exit(NO_MEMORY)


def confine(statm: int | None, memory_bytes_max: int) -> None:
    """Give up what the process may do. statm: a descriptor of /proc/self/statm, where there is one (Linux).
    memory_bytes_max: what it may take with what it takes already.
    """
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    Path(folder).rmdir()  # what has no name cannot be filled, and need not be cleaned up
    os.nice(_NICE)
    if statm is not None:
        (_PROC / "oom_score_adj").write_text("1000")
        # What is reserved and not taken, 60 MB of libraries and stacks, is not counted: from here on nobody reserves
        # without taking (see _ENVIRONMENT in process.py).
        reserved, taken = (int(pages) * _PAGE for pages in os.pread(statm, 100, 0).split()[:2])
        resource.setrlimit(resource.RLIMIT_AS, (reserved - taken + memory_bytes_max,) * 2)
    for which, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 0),  # those that are open stay open
    ):
        resource.setrlimit(which, (most, most))


class _Child:
    def __init__(self, statm: int | None) -> None:
        self._statm = statm
        self._contents = Contents()
        self._running = Running()
        self._writing = Lock()
        self._changing = Lock()

    def serve(self) -> None:
        while (head := _read(HEAD.size)) is not None:
            if (body := _read(HEAD.unpack(head)[0])) is None:
                break
            match decode_request(body):
                case Load(number, nodes, edges):
                    with self._changing:
                        self._contents.load(nodes, edges)
                    self._reply(Done(number, self._memory_bytes()))
                case Apply(number, ops):
                    with self._changing:
                        self._contents.apply(ops)
                    self._reply(Done(number, self._memory_bytes()))
                case Ask() as ask:
                    with self._changing:
                        looked = self._contents.look(), frozenset(self._contents.known_labels)
                    self._running.start(partial(self._answer, ask, *looked))
        os._exit(0)  # queries that run are not waited for

    def _answer(self, ask: Ask, graph: kglite.KnowledgeGraph, labels: frozenset[str]) -> None:
        try:
            reply = answer(ask, graph, labels, self._teach)
            if isinstance(reply, Answered):
                reply = msgspec.structs.replace(reply, memory_bytes=self._memory_bytes())
            self._reply(reply)
        except MemoryError:
            os._exit(NO_MEMORY)
        except BaseException:
            os._exit(1)  # a panic of kglite: nothing here is sound any more

    def _teach(self, label: str, key: str) -> kglite.KnowledgeGraph:
        with self._changing:
            self._contents.know_property(label, key)
            return self._contents.look()

    def _reply(self, reply: Reply) -> None:
        data = memoryview(framed(reply))
        with self._writing:
            while data:
                data = data[os.write(sys.stdout.fileno(), data) :]

    def _memory_bytes(self) -> int:
        if self._statm is None:
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return int(os.pread(self._statm, 100, 0).split()[1]) * _PAGE


def _read(size: int) -> bytes | None:
    """Return the next bytes that the shard wrote; None when it closed the pipe."""
    parts: list[Any] = []
    while size:
        part = os.read(sys.stdin.fileno(), min(size, 1_048_576))
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
