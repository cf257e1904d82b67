"""Workflows whose steps make other processes, as users' steps do. Input: {"folder", …}, where they write down what came
of it.
"""

import asyncio
import contextlib
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from argosy import Context, step, step_info, workflow

FORK = multiprocessing.get_context("fork")
_SOCKETS_OF_A_PROGRAM = """
import os
from stat import S_ISSOCK
def is_socket(fd):
    try:
        return S_ISSOCK(os.fstat(int(fd)).st_mode)
    except OSError:
        return False
print(sum(map(is_socket, os.listdir("/proc/self/fd"))))
"""


def _addressed_sockets() -> list[Any]:
    """Both ends of every socket of this process that has an address. Pairs, as multiprocessing uses them, have none."""
    found = []
    for path in Path("/proc/self/fd").iterdir():
        try:
            each = socket.socket(fileno=int(path.name))
        except OSError:
            continue
        ends = [each.getsockname()]
        with contextlib.suppress(OSError):
            ends.append(each.getpeername())
        each.detach()
        if any(ends):
            found.append(ends)
    return found


def _live_on(folder: str, users: socket.socket) -> None:
    seen = {"pid": os.getpid(), "sockets": _addressed_sockets(), "users": users.getsockname()}
    Path(folder, "child.new").write_text(json.dumps(seen))
    Path(folder, "child.new").rename(Path(folder, "child"))
    time.sleep(60)


@step
async def leaves_a_child(job: dict[str, Any]) -> int:
    """A child that lives on, with a socket of the user's; then, in its first attempt, the step stays."""
    if step_info().attempt == 1:
        users = socket.create_server(("127.0.0.1", 0))
        FORK.Process(target=_live_on, args=(job["folder"], users), daemon=False).start()
        await asyncio.sleep(600)
    return step_info().attempt


@workflow
async def left(ctx: Context, job: dict[str, Any]) -> int:
    return await ctx.run(leaves_a_child, job)


@step
def pools(job: dict[str, Any]) -> list[int]:
    """Children that are told to end before they have run at all, and others that work."""
    for _ in range(20):
        FORK.Pool(2).terminate()
    with FORK.Pool(2) as pool:
        return pool.map(abs, [-1, -2, -3])


@step
async def executors(job: dict[str, Any]) -> list[int]:
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(2, mp_context=FORK) as pool:
        return list(await asyncio.gather(*(loop.run_in_executor(pool, abs, -n) for n in (1, 2, 3))))


@step
def spawns(job: dict[str, Any]) -> list[int]:
    numbers: list[int] = []
    for method in ("spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            numbers += pool.map(abs, [-1])
    return numbers


@step
def runs_a_program(job: dict[str, Any]) -> int:
    """Sockets of a program that was started without closing anything."""
    done = subprocess.run([sys.executable, "-c", _SOCKETS_OF_A_PROGRAM], close_fds=False, stdout=-1, check=True)
    return int(done.stdout)


def _child_of(folder: str) -> int:
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return -1


@step
def child_returns(job: dict[str, Any]) -> int:
    return _child_of(job["folder"])


@step
async def child_returns_on_the_loop(job: dict[str, Any]) -> int:
    return _child_of(job["folder"])


@step
def child_exits(job: dict[str, Any]) -> int:
    code = _child_of(job["folder"])
    if code < 0:
        sys.exit(3)
    return code


def _be_a_twin(folder: str) -> None:
    Path(folder, "twin").touch()


@step
async def child_awaits(job: dict[str, Any]) -> int:
    code = _child_of(job["folder"])
    if code < 0:
        await asyncio.sleep(0.01)
        _be_a_twin(job["folder"])
    return code


STEPS = {
    each.__name__: each
    for each in (
        pools,
        executors,
        spawns,
        runs_a_program,
        child_returns,
        child_returns_on_the_loop,
        child_exits,
        child_awaits,
    )
}


@workflow
async def works(ctx: Context, job: dict[str, Any]) -> Any:
    return await ctx.run(STEPS[job["step"]], job)
