"""A program that brings its own fleet and forks: its children hold nothing of the fleet, and are its own."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from argosy import Argosy
from tests.client.workflows import adds

HOST = """
    import argosy, asyncio, json, multiprocessing, os, signal, socket, sys, time

    def stay(users):
        seen = {"pid": os.getpid(), "term": signal.getsignal(signal.SIGTERM).__name__, "port": users.getsockname()[1]}
        print(json.dumps(seen), flush=True)
        time.sleep(60)

    @argosy.step
    def forks():
        users = socket.create_server(("127.0.0.1", 0))
        multiprocessing.get_context("fork").Process(target=stay, args=(users,)).start()

    @argosy.workflow
    async def journey(ctx, input=None):
        await ctx.run(forks)
        return "done"

    def mine(*_):
        pass

    async def main():
        signal.signal(signal.SIGTERM, mine)
        async with argosy.Argosy(workflows=[journey], data_dir=sys.argv[1]) as here:
            print(json.dumps(await here.run(journey)), flush=True)
            await asyncio.sleep(60)

    asyncio.run(main())
"""


@pytest.mark.slow
def test_a_forked_child_that_survives_its_program_does_not_keep_the_folder(
    folder: Path, make_cluster: Callable[[Path], None]
) -> None:
    make_cluster(folder / "data")
    host = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOST), str(folder / "data")], stdout=subprocess.PIPE, text=True
    )
    assert host.stdout is not None
    said: list[Any] = [json.loads(host.stdout.readline()) for _ in range(2)]
    child = next(each for each in said if isinstance(each, dict))
    try:
        host.kill()
        host.wait()
        killed_at_s = time.monotonic()

        assert asyncio.run(_add(folder / "data")) == 6
        assert time.monotonic() - killed_at_s < 30, "the child's life ends nothing sooner than a minute"
        assert Path(f"/proc/{child['pid']}").exists()
        assert child["term"] == "mine"
        assert child["port"]
        assert "done" in said
    finally:
        os.kill(child["pid"], signal.SIGKILL)


async def _add(folder: Path) -> Any:
    async with Argosy(workflows=[adds], data_dir=folder) as here:
        return await here.run(adds, [1, 2, 3])
