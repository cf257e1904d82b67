"""The command that looks at workflows and runs nothing."""

import sys
from typing import Annotated

import typer


def check(
    workflows: Annotated[list[str], typer.Argument(help="Files or modules with workflows.", metavar="FILE|MODULE")],
    is_json: Annotated[bool, typer.Option("--json", help="One JSON object, for machines.")] = False,
) -> None:
    """Report code in workflows that would not replay. It reads the files and runs nothing of them. Exit code 1:
    something was found; 2: a file cannot be read, or there is no workflow.
    """
    from argosy.check.command import check_files

    sys.exit(check_files(workflows, is_json=is_json))
