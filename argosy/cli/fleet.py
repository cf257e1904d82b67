"""`argosy fleet`: the command; fleet_table.py draws it."""

import sys
from typing import Annotated

import typer

from argosy.cli.options import URL, Url


def fleet(
    once: Annotated[bool, typer.Option(help="Show them once, and end.")] = False,
    url: Url = URL,
) -> None:
    """Show lanes and workers, drawn again each second, until Ctrl-C."""
    from argosy.cli.fleet_table import show_fleet

    sys.exit(show_fleet(url, is_once=once))
