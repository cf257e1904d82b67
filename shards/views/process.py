"""The shard's end of a child process: starts it, asks it, hands each answer to whoever waits for it, and kills it."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from argosy.errors import ViewLostError
from argosy.shards.views.frames import HEAD, NO_MEMORY, Reply, Request, decode_reply, framed

# Importing argosy imports workflows, logging and HTTP: half a second and 30 MB that a view has no use for.
_START: Final = """import sys, types
argosy = types.ModuleType("argosy")
argosy.__path__ = [sys.argv[1]]
sys.modules["argosy"] = argosy
from argosy.shards.views.child import main
main(*map(int, sys.argv[2:]))"""
# kglite's allocator would reserve a gibibyte of addresses, and glibc's 128 MB a thread, which RLIMIT_AS counts.
_ENVIRONMENT: Final = {"MALLOC_ARENA_MAX": "1", "MIMALLOC_ARENA_RESERVE": "16384", "RAYON_NUM_THREADS": "1"}


# What a process that breaks ends by. SIGKILL is the kernel's, when the machine lacks memory, or somebody else's.
_OF_ITS_OWN: Final = (signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP)


class ChildProcess:
    """One child from its start to its end. Used on one event loop."""

    def __init__(self, process: Process, reply_size_bytes_max: int) -> None:
        self._process = process
        self._reply_size_bytes_max = reply_size_bytes_max
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._number = 0
        self._reader = asyncio.create_task(self._read())
        self.has_ended = False
        self.lacked_memory = False
        self.ended_alone_with = 0  # how many requests it was working at when nobody but itself ended it

    @classmethod
    async def start(cls, memory_bytes_max: int, reply_size_bytes_max: int) -> "ChildProcess":
        folder = str(Path(__file__).parents[2])  # argosy's
        numbers = map(str, (os.getpid(), memory_bytes_max))
        command = (sys.executable, "-I", "-B", "-c", _START, folder, *numbers)
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=_ENVIRONMENT
            )
        except OSError as error:
            raise ViewLostError(f"no process for a view: {error}") from error
        return cls(process, reply_size_bytes_max)

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, make: Callable[[int], Request]) -> asyncio.Future[Reply]:
        """Send a request, behind all that were sent before. Its answer comes, or ViewLostError."""
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        stdin = self._process.stdin
        if self.has_ended or stdin is None:
            raise ViewLostError("the view has ended")
        self._number += 1
        stdin.write(framed(make(self._number)))
        self._waiting[self._number] = future
        return future

    def kill(self) -> None:
        """End the child; all who wait get ViewLostError."""
        self._send_kill()
        self._end("the view was stopped")

    async def close(self) -> None:
        self.kill()
        await self._process.wait()
        await self._reader

    async def _read(self) -> None:
        stdout = self._process.stdout
        overran = False
        try:
            while stdout is not None:
                (size,) = HEAD.unpack(await stdout.readexactly(HEAD.size))
                if size > self._reply_size_bytes_max:
                    overran = True
                    break
                reply = decode_reply(await stdout.readexactly(size))
                if (future := self._waiting.pop(reply.number, None)) is not None and not future.done():
                    future.set_result(reply)
        except (asyncio.IncompleteReadError, ConnectionError, msgspec.DecodeError):
            pass
        self._send_kill()  # unless it ended by itself
        code = await self._process.wait()
        self.lacked_memory = code in (NO_MEMORY, -signal.SIGABRT)  # Python's, or kglite's allocator's end
        if overran or code > 0 or -code in _OF_ITS_OWN:
            self.ended_alone_with = len(self._waiting)
        self._end("it took more memory than a view may" if self.lacked_memory else f"the view ended ({code})")

    def _send_kill(self) -> None:
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)

    def _end(self, reason: str) -> None:
        self.has_ended = True
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(ViewLostError(f"{reason}: the next query builds it again"))
                future.exception()  # it may be that nobody waits any more
