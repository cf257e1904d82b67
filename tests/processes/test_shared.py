"""A server that processes of one run of tests share is started once, and ends after the last that uses it."""

import contextlib
import subprocess
import sys
import threading
from pathlib import Path

from tests.harness.shared import Shared

GUEST = """
import contextlib, pathlib, sys
from tests.harness.shared import Shared

with contextlib.ExitStack() as leaving:
    print(Shared(pathlib.Path(sys.argv[1])).join(lambda _: "another", leaving), flush=True)
    sys.stdin.read()
"""


def test_the_first_starts_it_and_ends_it_after_the_others(tmp_path: Path) -> None:
    ended = threading.Event()

    def start(ending: contextlib.ExitStack) -> str:
        ending.callback(ended.set)
        return "the first"

    leaving = contextlib.ExitStack()
    assert Shared(tmp_path / "server").join(start, leaving) == "the first"
    command = [sys.executable, "-c", GUEST, str(tmp_path / "server")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as guest:
        assert guest.stdin is not None
        assert guest.stdout is not None
        assert guest.stdout.readline() == "the first\n"
        closing = threading.Thread(target=leaving.close)
        closing.start()
        assert not ended.wait(0.5), "it ended while another process used it"
        guest.stdin.close()
        assert ended.wait(10)
        closing.join(10)

    assert subprocess.run(command, input="", capture_output=True, text=True, check=True).stdout == "another\n"
