"""The demonstration of `argosy up --demo`: post the turns of a file to a gateway, print their events and results."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from rich.console import Console

from argosy.client import AsyncClient, Event, ProblemError
from argosy.errors import CallerError
from argosy.turn.status import Status

_WITHIN_S: Final = 60.0
_RETRY_S: Final = 10.0
_FOLLOWED_MAX: Final = 64  # streams at once: a file may have any number of turns


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
    return asyncio.run(_show(turns, name, url, console))


async def _show(turns: Sequence[dict[str, Any]], name: str, url: str, console: Console) -> bool:
    async with AsyncClient(url, retry_s=_RETRY_S) as client:
        shown = Conversation(client, console)
        for turn in turns:
            await shown.post(turn)
        sessions = len({turn["session"] for turn in turns})
        console.print(f"posted {len(turns)} turns of {name} to {sessions} sessions")
        await shown.watch()
    shown.print_results()
    shown.print_next(url)
    return shown.has_come_out


class Conversation:
    """The turns that were posted, and how each ended."""

    def __init__(self, client: AsyncClient, console: Console) -> None:
        self._client = client
        self._console = console
        self._streams = asyncio.Semaphore(_FOLLOWED_MAX)
        self._session: dict[str, str] = {}
        self._ended: dict[str, dict[str, Any]] = {}

    @property
    def has_come_out(self) -> bool:
        """Whether every turn completed."""
        return all(self._ended.get(turn_id, {}).get("status") == Status.COMPLETED for turn_id in self._session)

    async def post(self, turn: dict[str, Any]) -> None:
        """Post a turn as it stands in the file. Raises CallerError when the gateway refuses it."""
        session = turn["session"]
        body = {name: value for name, value in turn.items() if name != "session"}
        path = f"/v1/sessions/{quote(session, safe='')}/turns"
        try:
            answer = await self._client.request("POST", path, content=json.dumps(body).encode())
        except ProblemError as error:
            said = json.dumps(error.problem, ensure_ascii=False, separators=(",", ":"))
            raise CallerError(f"the gateway answered {error.status}: {said}") from error
        self._session[answer["turn_id"]] = session

    async def watch(self) -> None:
        """Print events until every turn has ended, for _WITHIN_S at the most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_WITHIN_S):
                await asyncio.gather(*map(self._follow, self._session))

    async def _follow(self, turn_id: str) -> None:
        async with self._streams, aclosing(self._client.turn(turn_id).events()) as events:
            async for event in events:
                if isinstance(event, Event):
                    self._print_event(turn_id, event)
        self._ended[turn_id] = await self._client.request("GET", f"/v1/turns/{turn_id}")

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

    def _print_event(self, turn_id: str, event: Event) -> None:
        session = self._session[turn_id]
        self._print(f"  {session:<16} {turn_id[-6:]} {event.seq:>3}  {event.type:<16} {event.key}")

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)
