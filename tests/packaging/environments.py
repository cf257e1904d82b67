"""Environments of their own, beside the one that the tests run in."""

import subprocess
import sys
from pathlib import Path
from typing import Final

UV: Final = Path(sys.executable).parent / "uv"


def make_environment(folder: Path, *installed: str) -> Path:
    """A virtual environment with these packages, from the index; returns its bin folder."""
    programs = folder / "bin"
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, folder], check=True, timeout=60)
    command: list[str | Path] = [UV, "pip", "install", "--quiet", "--python", programs / "python", *installed]
    subprocess.run(command, check=True, timeout=300)
    return programs
