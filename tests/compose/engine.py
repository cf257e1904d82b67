"""A Docker engine for one run. It runs in a network namespace of its own: its bridge, its firewall rules and the ports
that it publishes touch nothing of the machine, and end with the run.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Final

from tests.compose.tools import Tools

_READY_WITHIN_S: Final = 120.0
_ENDS_WITHIN_S: Final = 60.0


class Engine:
    """A running engine. Its folder has everything that it writes, and is taken away at its end."""

    def __init__(self, tools: Tools, folder: Path) -> None:
        self._tools = tools
        self.folder = folder
        self.environ = {
            **os.environ,
            "PATH": tools.path,
            "DOCKER_HOST": f"unix://{folder}/docker.sock",
            "DOCKER_CONFIG": str(folder / "config"),
        }

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "config").mkdir()
        with (self.folder / "dockerd.log").open("w") as log:
            self._process = subprocess.Popen(
                [
                    f"{self._tools.engine}/usr/sbin/dockerd",
                    f"--host=unix://{self.folder}/docker.sock",
                    f"--data-root={self.folder}/data",
                    f"--exec-root={self.folder}/exec",
                    f"--pidfile={self.folder}/docker.pid",
                ],
                env=self.environ,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        until_s = time.monotonic() + _READY_WITHIN_S
        while self.docker("version", is_checked=False)[0] != 0:
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < until_s, self.log()
            time.sleep(0.2)

    def log(self) -> str:
        return (self.folder / "dockerd.log").read_text()[-4_000:]

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in sorted((each for each in mounts if each.startswith(f"{self.folder}/")), reverse=True):
            self.run("umount", mount)
        shutil.rmtree(self.folder)

    def docker(self, *arguments: str, is_checked: bool = True, within_s: float = 300.0) -> tuple[int, str]:
        """Run `docker …`; its code, and what it printed. is_checked: raises AssertionError when it fails."""
        return self.run("docker", *arguments, is_checked=is_checked, within_s=within_s)

    def run(self, *command: str, is_checked: bool = True, within_s: float = 300.0) -> tuple[int, str]:
        done = subprocess.run(command, env=self.environ, check=False, capture_output=True, text=True, timeout=within_s)
        assert not is_checked or done.returncode == 0, (
            f"{' '.join(command)}:\n{done.stdout[-2_000:]}{done.stderr[-4_000:]}"
        )
        return done.returncode, done.stdout

    def inspect(self, *containers: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.docker("inspect", *containers)[1])
        return found


class Project:
    """deploy/compose.yaml in this engine, on one rung."""

    def __init__(self, tools: Tools, engine: Engine, deploy: Path, given: dict[str, str]) -> None:
        self._compose = str(tools.compose)
        self._engine = engine
        self._file = deploy / "compose.yaml"
        self._env_file = engine.folder / "given.env"
        self._env_file.write_text("".join(f"{name}={value}\n" for name, value in given.items()))
        self._env_file.chmod(0o600)

    def compose(self, *arguments: str, is_checked: bool = True, within_s: float = 300.0) -> str:
        files = ("--file", str(self._file), "--env-file", str(self._env_file))
        return self._engine.run(self._compose, *files, *arguments, is_checked=is_checked, within_s=within_s)[1]

    def containers(self, *services: str) -> dict[str, dict[str, Any]]:
        """What the engine knows of every container of these services (all of them when none is named), by name."""
        ids = self.compose("ps", "--all", "--quiet", *services).split()
        return {each["Name"].lstrip("/"): each for each in self._engine.inspect(*ids)}

    def kill(self, container: str) -> None:
        """kill -9 for the process of a container: the engine sees it die, and starts it again."""
        (found,) = self._engine.inspect(container)
        os.kill(found["State"]["Pid"], signal.SIGKILL)
