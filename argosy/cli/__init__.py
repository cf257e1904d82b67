"""The command line: every process of Argosy starts here."""

import sys

from argosy.process.garbage import look_seldom


def main() -> None:
    """Run the command line. An error in settings, or in what they name, is one line on stderr and exit code 1."""
    look_seldom()
    from argosy.cli.app import app
    from argosy.cli.terminal import run_command

    sys.exit(run_command(app))
