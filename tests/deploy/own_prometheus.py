"""A Prometheus of a test of its own, with the rules of deploy/."""

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import pytest
import yaml

from tests.deploy.rules_files import RULES
from tests.harness.processes import Managed, free_port

_EVERY: Final = "1s"  # scrapes, and evaluates the rules, which a fleet has done every 15 and 30 s


class OwnPrometheus:
    """Scrapes these processes, by their job. Skips the test when there is no Prometheus here."""

    def __init__(self, folder: Path, jobs: dict[str, Managed]) -> None:
        program = shutil.which("prometheus")
        if program is None:
            pytest.skip("there is no prometheus: install Debian's package prometheus")
        folder.mkdir()
        for path in RULES:
            (folder / path.name).write_text(path.read_text().replace("interval: 30s", f"interval: {_EVERY}"))
        scraped = [
            {"job_name": job, "static_configs": [{"targets": [process.ready_url.split("/")[2]]}]}
            for job, process in jobs.items()
        ]
        config = {
            "global": {"scrape_interval": _EVERY, "scrape_timeout": _EVERY, "evaluation_interval": _EVERY},
            "rule_files": [str(folder / path.name) for path in RULES],
            "scrape_configs": scraped,
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        self.port = free_port()
        self._log = folder / "prometheus.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    program,
                    f"--config.file={folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait_ready(self, within_s: float = 30.0) -> None:
        until_s = time.monotonic() + within_s
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=5):
                    return
            except OSError:
                assert self._process.poll() is None, self._log.read_text()
                assert time.monotonic() < until_s, self._log.read_text()
                time.sleep(0.05)

    def ask(self, expression: str, at_s: float | None = None) -> list[dict[str, Any]]:
        """Return the series of an answer. Raises AssertionError with what Prometheus says of a wrong question."""
        asked = {"query": expression} | ({} if at_s is None else {"time": f"{at_s:.3f}"})
        url = f"http://127.0.0.1:{self.port}/api/v1/query?{urlencode(asked)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                content = json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{expression}: {error.read().decode()}") from error
        series: list[dict[str, Any]] = content["data"]["result"]
        return series

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
