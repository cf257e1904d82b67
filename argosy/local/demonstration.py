"""The demonstration of `argosy up --demo`: post the turns of a file to a gateway, print their events and results."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx2
from rich.console import Console

from argosy.clock import SystemClock
from argosy.errors import CallerError
from argosy.turn.status import ENDED, Status

_WITHIN_S: Final = 60.0


def read_turns(path: Path) -> list[dict[str, Any]]:
    """Return the turns of a file with one JSON object a line: {"session", "workflow", "input"}. Raises CallerError when
    the file cannot be read, or a line is not such an object.
    """
    try:
        turns = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except OSError as error:
        raise CallerError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise CallerError(f"{path}: {error}") from error
    for number, turn in enumerate(turns, 1):
        if not isinstance(turn, dict) or not {"session", "workflow"} <= turn.keys():
            raise CallerError(f"{path}, line {number}: must be an object with session, workflow and input")
    return turns


def show(turns: Sequence[dict[str, Any]], name: str, url: str, console: Console) -> bool:
    """Post the turns of the file of this name, print what happens and what to try next. Returns whether every turn
    completed.
    """
    with httpx2.Client(base_url=url, timeout=10.0, trust_env=False) as client:
        shown = Conversation(client, console)
        for turn in turns:
            shown.post(turn)
        sessions = len({turn["session"] for turn in turns})
        console.print(f"posted {len(turns)} turns of {name} to {sessions} sessions")
        shown.watch()
    shown.print_results()
    shown.print_next(url)
    return shown.has_come_out


class Conversation:
    """The turns that were posted: the last event printed of each, and how it ended."""

    def __init__(self, client: httpx2.Client, console: Console) -> None:
        self._client = client
        self._console = console
        self._session: dict[str, str] = {}
        self._seen: dict[str, int] = {}
        self._ended: dict[str, dict[str, Any]] = {}

    @property
    def has_come_out(self) -> bool:
        """Whether every turn completed."""
        return all(self._ended.get(turn_id, {}).get("status") == Status.COMPLETED for turn_id in self._session)

    def post(self, turn: dict[str, Any]) -> None:
        session = turn["session"]
        body = {name: value for name, value in turn.items() if name != "session"}
        answer = self._client.post(f"/v1/sessions/{quote(session, safe='')}/turns", json=body)
        if answer.status_code != 202:
            raise CallerError(f"the gateway answered {answer.status_code}: {answer.text}")
        turn_id = answer.json()["turn_id"]
        self._session[turn_id] = session
        self._seen[turn_id] = 0

    def watch(self) -> None:
        """Print events until every turn has ended, for _WITHIN_S at the most."""
        clock = SystemClock()
        deadline_s = clock.monotonic_s() + _WITHIN_S
        while len(self._ended) < len(self._session) and clock.monotonic_s() < deadline_s:
            for turn_id in self._session.keys() - self._ended.keys():
                turn = self._client.get(f"/v1/turns/{turn_id}").json()
                self._print_events(turn_id)
                if turn.get("status") in ENDED:
                    self._ended[turn_id] = turn

    def print_results(self) -> None:
        self._print("results")
        for turn_id, session in self._session.items():
            turn = self._ended.get(turn_id)
            if turn is None:
                self._print(f"  {session:<16} {turn_id} has not ended")
                continue
            shown = turn["result"] if turn["status"] == Status.COMPLETED else turn.get("error")
            if isinstance(shown, dict) and "summary" in shown:
                shown = shown["summary"]
            self._print(f"  {session:<16} {turn['status']}: {json.dumps(shown, ensure_ascii=False)}")

    def print_next(self, url: str) -> None:
        turn_id = next(iter(self._session), "")
        hello = json.dumps({"workflow": "echo", "input": "hello"})
        options = "-H 'content-type: application/json' -H 'prefer: wait=10'"
        self._print("try next")
        self._print(f"  open {url}/#/turns/{turn_id} in a browser")
        self._print(f"  curl -s {url}/v1/turns/{turn_id}")
        self._print(f"  curl -s {url}/v1/turns/{turn_id}/explain")
        self._print(f"  curl -s {url}/v1/sessions")
        self._print(f"  curl -s -X POST {url}/v1/sessions/hello/turns {options} -d '{hello}'")

    def _print_events(self, turn_id: str) -> None:
        answer = self._client.get(f"/v1/turns/{turn_id}/events", params={"after": self._seen[turn_id]})
        for event in answer.json().get("events", []):
            self._seen[turn_id] = event["seq"]
            key = event.get("key") or ""
            self._print(f"  {self._session[turn_id]:<16} {turn_id[-6:]} {event['seq']:>3}  {event['type']:<16} {key}")

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)
