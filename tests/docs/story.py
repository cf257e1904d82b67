"""Runs what a page of the documentation tells, block by block, as it is printed, in one folder and against one fleet.

- A Python block that begins with `# name.py` is a file.
- `argosy up …`, with what its block starts before it, serves until the page starts another one; a page that needs a
  gateway and starts none finds one.
- A line that ends with `&` is a process that goes on until the page ends; what is exported holds as long.
- Of a `console` block each command is run, and what it prints is compared: `…` stands for anything. `export TURN_ID=…`
  takes the id that was printed last. A `curl` that asks for a turn is repeated until it shows that state of it.
- What stands for something of the reader's own is replaced (`own`): the gateway's address, a database, brokers.
"""

import os
import re
import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.docs.page import ROOT, Block, blocks
from tests.harness.processes import ARGOSY, Managed, free_port

GATEWAY: Final = "http://127.0.0.1:9000"  # as pages write it
_BASH: Final = "/bin/bash"
_WITHIN_S: Final = 90.0
_STATE_WITHIN_S: Final = 10.0
_ASKS_FOR_TURN: Final = f"curl -s {GATEWAY}/v1/turns/"
_TURN_ID: Final = re.compile(r'"turn_id": ?"([0-9a-f-]{36})"')
_NEEDS_GATEWAY: Final = re.compile(r"argosy (turn|fleet|graph (ingest|job))\b|127\.0\.0\.1:9000|^python ")
# The command line asks the gateway on port 9000 unless it is told another one.
_WRAPPER: Final = """#!/bin/sh
case "$1 $2" in
  turn*|fleet*|"graph ingest"|"graph job"|"graph jobs"|"graph cancel-ingest") exec {argosy} "$@" --url {url} ;;
  *) exec {argosy} "$@" ;;
esac
"""


class Story:
    """What a page tells, being run. Use it in a `with`: what it started ends with it."""

    def __init__(self, folder: Path, own: Mapping[str, str], **settings: str) -> None:
        self._folder = folder
        self._port = free_port()
        self._url = f"http://127.0.0.1:{self._port}"
        self._own = {GATEWAY: self._url, **own}
        self._served: list[Managed] = []
        self._started = 0
        self._printed_id = ""
        self._make_wrapper()
        self._environment = {
            "PATH": f"{folder / 'bin'}:{ARGOSY.parent}:{os.environ['PATH']}",
            "HOME": str(folder),
            "ARGOSY_DATA_DIR": str(folder / "data"),
            "ARGOSY_CONFIG_DIR": str(folder / "config"),
            "PORT": str(self._port),
            **settings,
        }
        (folder / "examples").symlink_to(ROOT / "examples")
        for block in blocks(ROOT / "README.md"):  # other pages go on with its file of workflows
            self._write(block)

    def __enter__(self) -> "Story":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_serving(list(self._served))

    def run(self, block: Block) -> None:
        """Run one block. Raises AssertionError when it does not do what it shows."""
        if block.not_run or block.language == "text":
            return
        if block.language == "python":
            self._write(block)
        elif block.language == "sh":
            self._run_commands(block)
        else:
            self._run_console(block)

    def _write(self, block: Block) -> None:
        if block.file:
            (self._folder / block.file).write_text(self._replaced(block.text), encoding="utf-8")

    def _run_commands(self, block: Block) -> None:
        earlier = list(self._served)
        for line in self._replaced(block.text).splitlines():
            if line.startswith("argosy up"):
                self._stop_serving(earlier)
                self._serve_all(line)
            elif line.startswith("export "):
                self._environment |= dict(each.split("=", 1) for each in shlex.split(line)[1:])
            elif line.endswith("&"):
                self._serve(line.removesuffix("&"))
            else:
                self._shell(block, line)
        for each in self._served:
            if each.name == "gateway":
                each.wait_ready(_WITHIN_S)

    def _run_console(self, block: Block) -> None:
        for shown in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            command, _, expected = shown.partition("\n")
            if command == "export TURN_ID=…":
                assert self._printed_id, f"{block.page}:{block.line}: no command has printed the id of a turn"
                self._environment["TURN_ID"] = self._printed_id
                continue
            if _NEEDS_GATEWAY.search(command) and not self._served:
                self._serve_all("argosy up")
            pattern = re.compile(".*?".join(map(re.escape, expected.rstrip("\n").split("…"))), re.DOTALL)
            is_compared = expected.strip() not in ("", "…")
            deadline_s = time.monotonic() + (_STATE_WITHIN_S if command.startswith(_ASKS_FOR_TURN) else 0)
            while True:
                printed = self._shell(block, self._replaced(command), is_compared=is_compared).rstrip("\n")
                if pattern.fullmatch(printed):
                    break
                assert time.monotonic() < deadline_s, (
                    f"{block.page}:{block.line}: `{command}` printed\n{printed}\nand the page shows\n{expected}"
                )

    def _shell(self, block: Block, text: str, *, is_compared: bool = False) -> str:
        """Run a text to its end, and return what it printed. is_compared: that says whether it did well."""
        done = subprocess.run(
            [_BASH, "-euo", "pipefail", "-c", text],
            env=self._environment,
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=_WITHIN_S,
            check=False,
        )
        assert is_compared or done.returncode == 0, f"{block.page}:{block.line}: {text}\n{done.stdout}{done.stderr}"
        for found in _TURN_ID.finditer(done.stdout):
            self._printed_id = found[1]
        return done.stdout or done.stderr

    def _serve(self, command: str) -> Managed:
        arguments = shlex.split(command)[1:]
        self._started += 1
        log = self._folder / f"{self._started}-{arguments[0]}.log"
        served = Managed(arguments[0], arguments, self._environment, f"{self._url}/readyz", log)
        self._served.append(served)
        return served

    def _serve_all(self, command: str) -> None:
        """Run an `argosy up` until it says that all of it is ready."""
        up = self._serve(command)
        up.wait_ready(_WITHIN_S)
        up.wait_said("ready http")

    def _stop_serving(self, served: Sequence[Managed]) -> None:
        self._served = [each for each in self._served if each not in served]
        try:
            for each in served:
                each.terminate()
        finally:
            left = {each.name: pids for each in served if (pids := each.bury())}
        assert not left, f"processes were left behind: {left}"

    def _replaced(self, text: str) -> str:
        for shown, real in self._own.items():
            text = text.replace(shown, real)
        return text

    def _make_wrapper(self) -> None:
        wrapper = self._folder / "bin" / "argosy"
        wrapper.parent.mkdir()
        wrapper.write_text(_WRAPPER.format(argosy=ARGOSY, url=self._url))
        wrapper.chmod(0o755)
