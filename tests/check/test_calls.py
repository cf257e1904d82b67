"""Clocks, chance, the world outside, threads and loops are reported; what replays, or runs in a step, is not."""

from pathlib import Path

import pytest

from argosy.check.external import CALLS, CLIENTS, METHODS
from argosy.check.finding import CODES
from tests.check.checking import codes_of, report_of, workflow_of

STEP = "@step\nasync def look(*given): ...\n"


@pytest.mark.parametrize(
    ("before", "line", "code"),
    [
        ("import time", "time.time()", "time"),
        ("import time", "time.sleep(1)", "time"),
        ("import time", "started = time.perf_counter()", "time"),
        ("import time", "time.localtime()", "time"),
        ("import datetime", "datetime.datetime.now(datetime.UTC)", "time"),
        ("from datetime import datetime", "return datetime.utcnow().isoformat()", "time"),
        ("from datetime import date", "date.today()", "time"),
        ("import random", "random.choice(order)", "random"),
        ("import random", "random.Random().random()", "random"),
        ("import secrets", "secrets.token_hex()", "random"),
        ("import uuid", "str(uuid.uuid4())", "random"),
        ("import os", "os.urandom(8)", "random"),
        ("import numpy as np", "np.random.rand(3)", "random"),
        ("import numpy as np", "np.random.default_rng()", "random"),
        ("", "return hash('text') % 8", "random"),
        ("", "return hash(f'{order}')", "random"),
        ("", "open('x')", "io"),
        ("", "input()", "io"),
        ("from pathlib import Path", "Path('x').read_text()", "io"),
        ("from pathlib import Path", "(Path('x') / 'y').write_text('')", "io"),
        ("from pathlib import Path\nBASE = Path(__file__).parent", "(BASE / 'x').exists()", "io"),
        ("from pathlib import Path", "path = Path('x')\npath = path.parent\npath.unlink()", "io"),
        ("import os", "os.environ['HOME']", "io"),
        ("from os import environ", "environ.get('HOME')", "io"),
        ("import os", "os.getenv('HOME')", "io"),
        ("import os", "os.path.exists('x')", "io"),
        ("import subprocess", "subprocess.run(['true'])", "io"),
        ("import requests", "requests.get('http://x')", "io"),
        ("import urllib.request", "urllib.request.urlopen('http://x')", "io"),
        ("import httpx", "async with httpx.AsyncClient() as c:\n    await c.get('x')", "io"),
        ("import httpx\nclient = httpx.AsyncClient()", "await client.get('x')", "io"),
        ("from openai import AsyncOpenAI\nmodel = AsyncOpenAI()", "await model.chat.completions.create()", "io"),
        ("import socket", "socket.create_connection(('x', 1))", "io"),
        ("", "await asyncio.open_connection('x', 1)", "io"),
        ("", "await asyncio.create_subprocess_exec('true')", "io"),
        ("import threading", "threading.Thread(target=print).start()", "threads"),
        ("import multiprocessing as mp", "mp.Pool()", "threads"),
        ("from concurrent.futures import ThreadPoolExecutor as Pool", "Pool()", "threads"),
        ("", "await asyncio.to_thread(print)", "threads"),
        ("", "loop = asyncio.get_running_loop()\nawait loop.run_in_executor(None, print)", "threads"),
        ("import anyio", "await anyio.to_thread.run_sync(print)", "threads"),
        ("", "asyncio.run(order())", "loop"),
        ("", "asyncio.get_event_loop().run_until_complete(order)", "loop"),
        ("", "await asyncio.Task(ctx.sleep(1))", "loop"),
        ("", "await asyncio.wrap_future(order)", "threads"),
        ("import random\nrng = random.Random(7)", "rng.random()", "random"),
        ("@step\nasync def charge(order): ...", "await charge(order)", "step-call"),
        ("@step(effect='idempotent')\ndef charge(order): ...", "charge(order)", "step-call"),
        ("@argosy.step(retries=3)\nasync def charge(order): ...", "await asyncio.gather(charge(order))", "step-call"),
    ],
)
def test_what_a_replay_cannot_repeat_is_found(tmp_path: Path, before: str, line: str, code: str) -> None:
    assert codes_of(tmp_path, line, before) == [code]


@pytest.mark.parametrize(
    ("before", "line"),
    [
        ("import time", "time.strftime('%Y', time.localtime(0))"),
        ("from datetime import datetime", "datetime.fromisoformat(order)"),
        ("import random", "random.Random(ctx.turn_id.int).choice(order)"),
        ("import numpy as np", "np.random.default_rng(7).random()"),
        ("import numpy as np", "np.random.Generator(np.random.PCG64(7)).random()"),
        ("import subprocess", "raise subprocess.CalledProcessError(1, 'x')"),
        ("import concurrent.futures", "raise concurrent.futures.InvalidStateError()"),
        ("import secrets", "secrets.compare_digest('a', 'b')"),
        ("import uuid", "uuid.uuid5(uuid.NAMESPACE_DNS, 'x')"),
        ("", "hash(order)\nhash((1, 2))\nid(order)"),
        ("import os", "os.path.join('a', 'b')\nos.fspath('x')"),
        ("from pathlib import Path", "Path('x').with_suffix('.y').name"),
        ("import logging", "print('x')\nlogging.getLogger().info('x')"),
        ("import httpx", "httpx.Timeout(5)\nhttpx.URL('http://x')"),
        ("import urllib.parse", "urllib.parse.quote('x')"),
        ("", "asyncio.get_running_loop().time()"),
        ("", "async with asyncio.timeout(3), asyncio.TaskGroup() as group:\n    group.create_task(ctx.sleep(1))"),
        ("", "queue, lock, event = asyncio.Queue(), asyncio.Lock(), asyncio.Event()\nevent.set()"),
        ("", "await asyncio.wait_for(ctx.sleep(3), 1)\nawait asyncio.sleep(1)"),
        ("import time\n" + STEP, "await ctx.run(look, lambda: time.time())\nawait ctx.run(time.time)"),
        ("@step(effect='pure')\ndef total(order): ...", "return total(order)"),
        ("import time\nNOW = time.time()", "return NOW"),
    ],
)
def test_what_replays_is_not_found(tmp_path: Path, before: str, line: str) -> None:
    assert codes_of(tmp_path, line, before) == []


def test_what_a_step_does_is_its_own_affair(tmp_path: Path) -> None:
    before = """
        import time, random
        @step
        async def fetch(order):
            return helper(open('x').read())
        def helper(text):
            return text, time.time(), random.random()
    """

    assert codes_of(tmp_path, "await ctx.run(fetch, order)\nawait ctx.run(helper, 'x')", before) == []


def test_an_argument_of_a_step_is_made_in_the_workflow(tmp_path: Path) -> None:
    assert codes_of(tmp_path, "await ctx.run(look, time.time())", "import time\n" + STEP) == ["time"]


def test_a_synchronous_workflow_is_held_against_the_same_and_told_to_use_ctx_without_await(tmp_path: Path) -> None:
    text = workflow_of("time.sleep(1)\nctx.sleep(1)\nctx.run(print)", "import time", kind="def")

    (finding,) = report_of(tmp_path, text).findings

    assert finding.code == "time"
    assert finding.message.endswith("use ctx.sleep(…)")


def test_a_place_is_told_in_characters_and_from_one(tmp_path: Path) -> None:
    text = workflow_of("return 'ä€😀', time.time()", "import time")

    (finding,) = report_of(tmp_path, text).findings

    line = text.splitlines()[finding.line - 1]
    assert line[finding.column - 1 :] == "time.time()"


def test_the_table_has_only_codes_that_are_documented_and_no_name_twice() -> None:
    methods = [rule for rules in METHODS.values() for rule in rules]
    names = [name for rule in (*CALLS, CLIENTS) for name in rule.names.split()]

    assert {rule.code for rule in (*CALLS, CLIENTS, *methods)} <= CODES.keys()
    # With a seed they are fine, so they stand below random.* once more.
    assert sorted({name for name in names if names.count(name) > 1}) == []
