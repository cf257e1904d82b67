"""`argosy turn …`: turns, through a gateway."""

import json
import sys
import uuid
from typing import Annotated
from urllib.parse import urlencode

import typer

from argosy.cli.gateway_call import ask, call, json_of, segment, show
from argosy.cli.options import URL, Url
from argosy.errors import SettingError

app = typer.Typer(help="Turns, through a gateway.", no_args_is_help=True)


@app.command()
def submit(
    session: str,
    workflow: str,
    input: Annotated[str, typer.Argument(help="JSON.")] = "null",  # noqa: A002
    key: Annotated[str | None, typer.Option(help="Idempotency key: repeat with the same one after a failure.")] = None,
    wait: Annotated[int | None, typer.Option(help="Seconds to wait for the turn's end.")] = None,
    url: Url = URL,
) -> None:
    """Post a turn to a session."""
    headers = {} if wait is None else {"prefer": f"wait={wait}"}
    content = json.dumps({"workflow": workflow, "input": json_of(input)}).encode()
    path = f"/v1/sessions/{segment(session)}/turns"
    call("POST", url, path, key=key or None, headers=headers, content=content, wait_s=wait or 0)


@app.command()
def get(turn_id: str, url: Url = URL) -> None:
    """Show a turn."""
    call("GET", url, f"/v1/turns/{segment(turn_id)}")


@app.command()
def watch(
    turn_id: str,
    url: Annotated[
        list[str] | None, typer.Option(help="A gateway; may be repeated, for others to try when it does not answer.")
    ] = None,
) -> None:
    """Watch a turn to its end: its steps, and what they show while they run. Exit code 1: the turn did not complete;
    130: Ctrl-C came before its end.
    """
    from argosy.cli.turn_watch import watch_turn

    sys.exit(watch_turn(url or [URL], turn_id))


@app.command()
def cancel(turn_id: str, url: Url = URL) -> None:
    """Cancel a turn."""
    call("POST", url, f"/v1/turns/{segment(turn_id)}/cancel")


@app.command()
def resume(
    turn_id: Annotated[str | None, typer.Argument(help="One turn; or --all.")] = None,
    is_all: Annotated[
        bool,
        typer.Option(
            "--all", help="All parked turns that match: without --reason also those that need a decision each."
        ),
    ] = False,
    reason: Annotated[str | None, typer.Option(help="With --all: those that were parked for this reason.")] = None,
    workflow: Annotated[str | None, typer.Option(help="With --all: those of this workflow.")] = None,
    url: Url = URL,
) -> None:
    """Let a parked turn, or many, run again."""
    if is_all == (turn_id is not None) or (turn_id is not None and (reason or workflow)):
        raise SettingError(
            "name one turn, or give --all for all parked turns; with --all, --reason and --workflow select some of them"
        )
    if turn_id is not None:
        call("POST", url, f"/v1/turns/{segment(turn_id)}/resume")
        return
    asked = {name: value for name, value in (("reason", reason), ("workflow", workflow)) if value}
    key, resumed, has_more = uuid.uuid4().hex, 0, True
    while has_more:
        answer, is_success = ask("POST", url, f"/v1/turns:resume?{urlencode(asked)}", key=key)
        if not is_success:
            show(answer)
            sys.exit(1)
        resumed, has_more = resumed + answer["resumed"], answer["has_more"]
    show({"resumed": resumed})


@app.command("signal")
def send_signal(
    turn_id: str,
    name: str,
    payload: Annotated[str, typer.Argument(help="JSON.")] = "null",
    key: Annotated[str | None, typer.Option(help="Idempotency key.")] = None,
    url: Url = URL,
) -> None:
    """Send a signal to a turn."""
    content = json.dumps(json_of(payload)).encode()
    call("POST", url, f"/v1/turns/{segment(turn_id)}/signals/{segment(name)}", key=key or None, content=content)
