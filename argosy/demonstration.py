"""A first conversation: the turns of a file, posted to a running gateway, and what becomes of them, as it happens."""

import json
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx
from rich.console import Console
from rich.markup import escape

from argosy.clock import SystemClock
from argosy.errors import CallerError

_WITHIN_S: Final = 60.0
_ENDED: Final = {"completed", "failed", "cancelled", "expired", "rejected", "merged", "duplicate"}


def read_turns(path: Path) -> list[dict[str, Any]]:
    """The lines of a file: {"session", "workflow", "input"}. Raises CallerError."""
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        turns = [json.loads(line) for line in lines]
    except (OSError, ValueError) as error:
        raise CallerError(f"{path}: {error}") from error
    for number, turn in enumerate(turns, 1):
        if not isinstance(turn, dict) or not {"session", "workflow"} <= turn.keys():
            raise CallerError(f"{path}, line {number}: must be an object with session, workflow and input")
    return turns


def show(path: Path, url: str, console: Console) -> bool:
    """Post, watch and explain. True when every turn completed."""
    turns = read_turns(path)
    clock = SystemClock()
    with httpx.Client(base_url=url, timeout=10.0, trust_env=False) as client:
        posted = [(turn["session"], _post(client, turn)) for turn in turns]
        console.print(
            f"posted {len(posted)} turns of {path.name} to {len({session for session, _ in posted})} sessions"
        )
        seen = dict.fromkeys((turn_id for _, turn_id in posted), 0)
        ended: dict[str, dict[str, Any]] = {}
        deadline_s = clock.monotonic_s() + _WITHIN_S
        while len(ended) < len(posted) and clock.monotonic_s() < deadline_s:
            for session, turn_id in posted:
                if turn_id not in ended:
                    seen[turn_id] = _print_events(client, console, session, turn_id, seen[turn_id])
                    turn = client.get(f"/v1/turns/{turn_id}").json()
                    if turn.get("status") in _ENDED:
                        _print_events(client, console, session, turn_id, seen[turn_id])
                        ended[turn_id] = turn
        _print_results(console, posted, ended)
        _print_next(console, url, posted[0][1])
    return all(turn["status"] == "completed" for turn in ended.values()) and len(ended) == len(posted)


def _post(client: httpx.Client, turn: dict[str, Any]) -> str:
    session = turn["session"]
    body = {name: value for name, value in turn.items() if name != "session"}
    answer = client.post(f"/v1/sessions/{quote(session, safe='')}/turns", json=body)
    if answer.status_code != 202:
        raise CallerError(f"the gateway answered {answer.status_code}: {answer.text}")
    return str(answer.json()["turn_id"])


def _print_events(client: httpx.Client, console: Console, session: str, turn_id: str, after: int) -> int:
    answer = client.get(f"/v1/turns/{turn_id}/events", params={"after": after})
    for event in answer.json().get("events", []):
        after = event["seq"]
        key = f" {event['key']}" if event.get("key") else ""
        console.print(
            f"  [cyan]{escape(session):<16}[/] {turn_id[-6:]}  {event['seq']:>2} [bold]{event['type']}[/]{escape(key)}"
        )
    return after


def _print_results(console: Console, posted: list[tuple[str, str]], ended: dict[str, dict[str, Any]]) -> None:
    console.print("results")
    for session, turn_id in posted:
        turn = ended.get(turn_id)
        if turn is None:
            console.print(f"  [red]{escape(session)} {turn_id} has not ended[/]")
            continue
        shown = turn["result"] if turn["status"] == "completed" else turn.get("error")
        text = shown["summary"] if isinstance(shown, dict) and "summary" in shown else json.dumps(shown, ensure_ascii=False)
        console.print(f"  [cyan]{escape(session):<16}[/] {turn['status']}: {escape(text)}")


def _print_next(console: Console, url: str, turn_id: str) -> None:
    wait = "-H 'content-type: application/json' -H 'prefer: wait=10'"
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        turns = [json.loads(line) for line in lines]
    except (OSError, ValueError) as error:
        raise CallerError(f"{path}: {error}") from error
    for number, turn in enumerate(turns, 1):
        if not isinstance(turn, dict) or not {"session", "workflow"} <= turn.keys():
            raise CallerError(f"{path}, line {number}: must be an object with session, workflow and input")
    return turns


def show(path: Path, url: str, console: Console) -> bool:
    """Post, watch and explain. True when every turn completed."""
    turns = read_turns(path)
    clock = SystemClock()
    with httpx.Client(base_url=url, timeout=10.0, trust_env=False) as client:
        posted = [(turn["session"], _post(client, turn)) for turn in turns]
        console.print(
            f"posted {len(posted)} turns of {path.name} to {len({session for session, _ in posted})} sessions"
        )
        seen = dict.fromkeys((turn_id for _, turn_id in posted), 0)
        ended: dict[str, dict[str, Any]] = {}
        deadline_s = clock.monotonic_s() + _WITHIN_S
        while len(ended) < len(posted) and clock.monotonic_s() < deadline_s:
            for session, turn_id in posted:
                if turn_id not in ended:
                    seen[turn_id] = _print_events(client, console, session, turn_id, seen[turn_id])
                    turn = client.get(f"/v1/turns/{turn_id}").json()
                    if turn.get("status") in _ENDED:
                        _print_events(client, console, session, turn_id, seen[turn_id])
                        ended[turn_id] = turn
        _print_results(console, posted, ended)
        _print_next(console, url, posted[0][1])
    return all(turn["status"] == "completed" for turn in ended.values()) and len(ended) == len(posted)


def _post(client: httpx.Client, turn: dict[str, Any]) -> str:
    session = turn["session"]
    body = {name: value for name, value in turn.items() if name != "session"}
    answer = client.post(f"/v1/sessions/{quote(session, safe='')}/turns", json=body)
    if answer.status_code != 202:
        raise CallerError(f"the gateway answered {answer.status_code}: {answer.text}")
    return str(answer.json()["turn_id"])


def _print_events(client: httpx.Client, console: Console, session: str, turn_id: str, after: int) -> int:
    answer = client.get(f"/v1/turns/{turn_id}/events", params={"after": after})
    for event in answer.json().get("events", []):
        after = event["seq"]
        key = f" {event['key']}" if event.get("key") else ""
        console.print(
            f"  [cyan]{escape(session):<16}[/] {turn_id[-6:]}  {event['seq']:>2} [bold]{event['type']}[/]{escape(key)}"
        )
    return after


def _print_results(console: Console, posted: list[tuple[str, str]], ended: dict[str, dict[str, Any]]) -> None:
    console.print("results")
    for session, turn_id in posted:
        turn = ended.get(turn_id)
        if turn is None:
            console.print(f"  [red]{escape(session)} {turn_id} has not ended[/]")
            continue
        shown = turn["result"] if turn["status"] == "completed" else turn.get("error")
        text = shown["summary"] if isinstance(shown, dict) and "summary" in shown else json.dumps(shown, ensure_ascii=False)
        console.print(f"  [cyan]{escape(session):<16}[/] {turn['status']}: {escape(text)}")


def _print_next(console: Console, url: str, turn_id: str) -> None:
    body = json.dumps({"workflow": turn["workflow"], "input": turn.get("input")}, ensure_ascii=False)
    session = quote(turn["session"], safe="")
    wait = "-H 'content-type: application/json' -H 'prefer: wait=10'"
    lines = [
        f"curl -s {url}/v1/turns/{turn_id}",
        f"curl -s {url}/v1/turns/{turn_id}/explain",
        f"curl -s {url}/v1/sessions",
        f'curl -s -X POST {url}/v1/sessions/hello/turns {wait} -d \'{{"workflow":"echo","input":"hello"}}\'',
    ]
    console.print("try next")
    for line in lines:
        console.print(f"  {line}", markup=False, soft_wrap=True)
