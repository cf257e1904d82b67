"""The demonstration of `argosy up --demo`: posts the turns of a file to a gateway, prints their events and results.

The file has one JSON object a line: {"session", "workflow", "input"}. What comes after an empty line is posted when
the turns before it have ended: a conversation that goes on from what others have left. An input {"remember": true}
asks for graphs; where there are none it is posted with false.

A line {"ingest", "graph"} uploads a text, by its path from the file's folder, before the turns beside it are posted:
they are about that. Where there are no graphs, such a part is left out.
"""

import asyncio
import json
from collections.abc import Sequence
from contextlib import aclosing, closing, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from rich.console import Console

from argosy.client import AsyncClient, Event, ProblemError
from argosy.errors import CallerError
from argosy.local.upload import upload
from argosy.turn.events import Event as Type
from argosy.turn.status import Status

_TENANT: Final = "default"  # where tokens are asked for, whose turns they are
_WITHIN_S: Final = 60.0  # for all turns of a file; each takes seconds
_RETRY_S: Final = 10.0  # a fleet that was started a moment ago may not serve yet
_FOLLOWED_MAX: Final = 64  # streams at once: a file may have any number of turns
_TOGETHER_S: Final = 0.3  # what happens to a turn within this time is one line

Turns = list[dict[str, Any]]


def read_turns(path: Path) -> list[Turns]:
    """Return the turns of a file, those between two empty lines together. Raises CallerError when the file cannot be
    read, or a line is not such an object.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise CallerError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise CallerError(f"{path}: {error}") from error
    parts: list[Turns] = [[]]
    for number, line in enumerate(lines, 1):
        if line.strip():
            parts[-1].append(_turn(line, path, number))
        else:
            parts.append([])
    if not (parts := [part for part in parts if part]):
        raise CallerError(f"{path}: there are no turns in it")
    return parts


def _turn(line: str, path: Path, number: int) -> dict[str, Any]:
    where = f"{path}, line {number}"
    try:
        turn = json.loads(line)
    except ValueError as error:
        raise CallerError(f"{where}: {error}") from error
    if isinstance(turn, dict) and {"ingest", "graph"} == turn.keys():
        text = path.parent / str(turn["ingest"])
        if not text.is_file():
            raise CallerError(f"{where}: there is no file {text}")
        return turn | {"ingest": text}
    if not isinstance(turn, dict) or not {"session", "workflow"} <= turn.keys():
        raise CallerError(f"{where}: must be an object with session, workflow and input, or with ingest and graph")
    return turn


def forget(parts: list[Turns]) -> bool:
    """Let no turn ask for graphs. Returns whether one did."""
    parts[:] = [turns for turns in parts if not any("ingest" in turn for turn in turns)]
    inputs = [turn.get("input") for turns in parts for turn in turns]
    asking = [each for each in inputs if isinstance(each, dict) and each.get("remember") is True]
    for each in asking:
        each["remember"] = False
    return bool(asking)


def show(parts: Sequence[Turns], name: str, url: str, token: str | None, console: Console) -> bool:
    """Post the turns of the file of this name, print what happens and what to try next. Returns whether every turn
    completed. token: an administrator's, which posts them as the tenant `default`; None: nobody is asked.
    """
    return asyncio.run(_show(parts, name, url, token, console))


async def _show(parts: Sequence[Turns], name: str, url: str, token: str | None, console: Console) -> bool:
    tenant = None if token is None else _TENANT
    # The gateway is this tree's, on this machine, whatever it binds.
    async with AsyncClient(url, token=token, allow_http=True, tenant=tenant, retry_s=_RETRY_S) as client:
        shown = Conversation(client, console)
        deadline_s = asyncio.get_running_loop().time() + _WITHIN_S
        for number, turns in enumerate(parts):
            for each in turns:
                if "ingest" in each:
                    console.print(await upload(client, each["ingest"], each["graph"]), markup=False)
            turns = [each for each in turns if "ingest" not in each]
            for turn in turns:
                await shown.post(turn)
            posted = _counted(len(turns), "more turn" if number else "turn")
            sessions = _counted(len({turn["session"] for turn in turns}), "session")
            console.print(f"posted {posted} of {name} to {sessions}")
            await shown.watch(deadline_s)
    shown.print_results()
    shown.print_next(url, has_tokens=token is not None)
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

    async def watch(self, deadline_s: float) -> None:
        """Print events until every turn has ended, until this time of the event loop at the latest."""
        open_turns = [turn_id for turn_id in self._session if turn_id not in self._ended]
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline_s):
                await asyncio.gather(*map(self._follow, open_turns))

    async def _follow(self, turn_id: str) -> None:
        stream = aclosing(self._client.turn(turn_id).events())
        async with self._streams, stream as events:
            with closing(_Line(self._session[turn_id], self._console)) as line:
                async for event in events:
                    if isinstance(event, Event):
                        line.add(event)
        self._ended[turn_id] = await self._client.request("GET", f"/v1/turns/{turn_id}")

    def print_results(self) -> None:
        self._print("results")
        for turn_id, session in self._session.items():
            turn = self._ended.get(turn_id)
            if turn is None:
                self._print(f"  {session:<16} {turn_id} has not ended")
                continue
            shown = turn["result"] if turn["status"] == Status.COMPLETED else turn.get("error")
            told = shown if isinstance(shown, dict) and "summary" in shown else {"summary": shown}
            self._print(f"  {session:<16} {turn['status']}: {json.dumps(told['summary'], ensure_ascii=False)}")
            if "remembered" in told:
                self._print(f"  {'':<16} remembered {told['remembered']}", "cyan")

    def print_next(self, url: str, *, has_tokens: bool) -> None:
        turn_id = next(iter(self._session), "")
        hello = json.dumps({"workflow": "echo", "input": "hello"})
        options = "-H 'content-type: application/json' -H 'prefer: wait=10'"
        curl = "curl -s"
        self._print("try next")
        if has_tokens:
            curl += ' -H "authorization: Bearer $ARGOSY_TOKEN"'
            self._print(f"  argosy tokens create mine --role tenant --tenant {_TENANT} --url {url}")
        self._print(f"  open {url}/#/turns/{turn_id} in a browser")
        self._print(f"  {curl} {url}/v1/turns/{turn_id}")
        self._print(f"  {curl} {url}/v1/turns/{turn_id}/explain")
        self._print(f"  {curl} {url}/v1/sessions")
        self._print(f"  {curl} {url}/v1/graphs")
        self._print(f"  {curl} -X POST {url}/v1/sessions/hello/turns {options} -d '{hello}'")

    def _print(self, text: str, style: str | None = None) -> None:
        _print(self._console, text, style)


class _Line:
    """What happens to a turn, as lines: one for all that happens within _TOGETHER_S."""

    def __init__(self, session: str, console: Console) -> None:
        self._session = session
        self._console = console
        self._said: list[str] = []

    def add(self, event: Event) -> None:
        if event.type == Type.STEP_INTENDED:  # its outcome is told
            return
        if not self._said:
            asyncio.get_running_loop().call_later(_TOGETHER_S, self.close)
        what = "" if event.type == Type.STEP_COMPLETED else event.type.removeprefix("turn.")
        self._said.append(f"{what} {event.key}".strip())

    def close(self) -> None:
        """Print what has not been printed."""
        if self._said:
            _print(self._console, f"  {self._session:<16} {', '.join(self._said)}", "dim")
            self._said.clear()


def _print(console: Console, text: str, style: str | None) -> None:
    console.print(text, style=style, markup=False, soft_wrap=True)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
