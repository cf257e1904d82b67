"""Apache Kafka's jars. Maven fetches them once; they are checked against a list of digests, and no network is needed
from then on.
"""

import fcntl
import hashlib
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from argosy.errors import SettingError

_DIST: Final = Path(__file__).parents[1] / "kafka_dist"
_JAVA_VERSION_MIN: Final = 17  # what the broker of Kafka 4 needs
_MAVEN_WITHIN_S: Final = 600.0  # the first time all jars come, over any line


def find_java() -> str:
    """Return the absolute path of a `java` that Kafka runs on. Raises SettingError."""
    path = shutil.which("java")
    if path is None:
        raise SettingError(f"the broker needs Java {_JAVA_VERSION_MIN} or newer, and there is no `java` on the PATH")
    shown = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=60, check=False)
    version = re.search(r'version "(\d+)(?:\.(\d+))?', shown.stderr)
    if shown.returncode != 0 or version is None:  # macOS has a `java` that only asks the user to install Java
        raise SettingError(f"the broker needs Java {_JAVA_VERSION_MIN} or newer, and {path} does not run")
    major = int(version[2]) if version[1] == "1" and version[2] else int(version[1])
    if major < _JAVA_VERSION_MIN:
        raise SettingError(f"the broker needs Java {_JAVA_VERSION_MIN} or newer, and {path} is Java {major}")
    return path


def kafka_jars(cache_dir: Path) -> Path:
    """Return the folder with Kafka's jars, below cache_dir. Raises SettingError when they are not there and cannot be
    fetched.

    Several processes may call this at once: one fetches the jars, the others wait. The folder gets its name only when
    it is complete and checked.
    """
    wanted = (_DIST / "jars.sha256").read_text()
    folder = cache_dir / f"kafka-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    if not folder.is_dir():
        cache_dir.mkdir(parents=True, exist_ok=True)
        with (cache_dir / "kafka.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.is_dir():
                _resolve(wanted, folder)
    return folder


def _resolve(wanted: str, folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise SettingError("the broker's jars must be fetched once, and there is no `mvn` (Maven) on the PATH")
    with tempfile.TemporaryDirectory(prefix=".resolve-", dir=folder.parent) as work:
        shutil.copy(_DIST / "pom.xml", work)  # Maven may write beside the pom, and the package may be read-only
        jars = Path(work) / "jars"
        command = [
            maven,
            "-q",
            "-B",
            "dependency:copy-dependencies",
            "-DincludeScope=runtime",
            f"-DoutputDirectory={jars}",
        ]
        try:
            done = subprocess.run(
                command, cwd=work, capture_output=True, text=True, timeout=_MAVEN_WITHIN_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise SettingError(f"Maven did not fetch the broker's jars within {_MAVEN_WITHIN_S:g} s") from None
        if done.returncode != 0:
            lines = [line for line in done.stdout.splitlines() if "ERROR" in line] or [done.stderr.strip()]
            raise SettingError(f"Maven could not fetch the broker's jars: {lines[0]}")
        _check(jars, wanted)
        jars.rename(folder)


def _check(jars: Path, wanted: str) -> None:
    """Raise SettingError unless these are exactly the jars of the list, byte for byte."""
    got = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in jars.iterdir()}
    want = {name: digest for digest, name in (line.split() for line in wanted.splitlines())}
    if wrong := sorted(name for name in got.keys() | want.keys() if got.get(name) != want.get(name)):
        raise SettingError(f"the broker's jars are not the ones that jars.sha256 lists: {', '.join(wrong)}")
