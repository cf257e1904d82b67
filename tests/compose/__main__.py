"""deploy/compose.yaml in a real Docker engine, with the image of deploy/Dockerfile: `make test-compose` (scenario.py).

Images are made first, with the machine's network; then everything runs in a network namespace without any.
"""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.compose import scenario
from tests.compose.images import archive
from tests.compose.tools import tools
from tests.harness.go_tools import NoToolError

_RUNG: Final = scenario.RUNG


def main() -> None:
    try:
        found = tools()
        images, left_out = archive(found, _RUNG)
    except NoToolError as error:
        print(f"make test-compose is SKIPPED: {error}", flush=True)
        return
    pytest = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        str(Path(scenario.__file__)),
        *sys.argv[1:],
    ]
    inside = f"ip link set lo up && exec {shlex.join(pytest)}"
    done = subprocess.run(
        [shutil.which("unshare") or "unshare", "--net", "sh", "-c", inside],
        env={**os.environ, "COMPOSE_IMAGES": str(images), "COMPOSE_LEFT_OUT": " ".join(left_out)},
        check=False,
    )
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
