"""`argosy audit`: who did what, through a gateway."""

import json
import sys
from typing import Annotated, Any, Final
from urllib.parse import urlencode

import typer

from argosy.cli.gateway_call import ask, show
from argosy.cli.options import URL, Url
from argosy.printable import printable

_PAGE: Final = 100


def audit(
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many rows at the most.")] = 100,
    tenant: Annotated[str, typer.Option(help="About this tenant; for those who may act as it. Empty: one's own.")] = "",
    json_lines: Annotated[bool, typer.Option("--json", help="Each row as a line of JSON.")] = False,
    url: Url = URL,
) -> None:
    """Show who did what, the newest first: about one's own tenant; an administrator who names none sees all."""
    headers = {"x-argosy-tenant": tenant} if tenant else {}
    left, cursor = limit, None
    while left > 0:
        asked: dict[str, Any] = {"limit": min(left, _PAGE)} | ({"cursor": cursor} if cursor else {})
        answer, is_success = ask("GET", url, f"/v1/audit?{urlencode(asked)}", headers=headers)
        if not is_success:
            show(answer)
            sys.exit(1)
        for entry in answer["entries"]:
            typer.echo(printable(json.dumps(entry, ensure_ascii=False) if json_lines else line_of(entry)))
        left -= len(answer["entries"])
        cursor = answer["next"]
        if cursor is None:
            return


def line_of(entry: dict[str, Any]) -> str:
    """Return a row as a line for people."""
    who = " ".join(each for each in (entry["actor_kind"], entry["actor_id"]) if each)
    what = " ".join(each for each in (entry["action"], entry["target"]) if each)
    words = [entry["at"], who, what]
    words += [f"tenant {entry['tenant']}"] if entry["tenant"] else []
    words += [f"{entry['outcome']}: {entry['reason']}"] if entry["outcome"] != "done" else []
    words += [f"{entry['number']} times"] if entry["number"] > 1 else []
    words += [f"from {entry['source']}"] if entry["source"] else []
    words += [f"request {entry['request_id']}"] if entry["request_id"] else []
    return "  ".join(words)
