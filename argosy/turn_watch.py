"""`argosy turn watch`: a turn as it goes on, drawn again as it changes; without a terminal, its events as lines."""

import threading
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from argosy.client import Assembler, Client, Event, Frame, Resync, Snapshot, StreamEvent, Turn, TurnError
from argosy.client.turn import result_of
from argosy.clock import SystemClock
from argosy.fleet_table import in_words

_RETRY_S: Final = 10.0
_REDRAWN_PER_S: Final = 8
_LINES_MAX: Final = 12  # of one channel; the newest
_ROWS_MAX: Final = 30
_SHOWN_CHARACTERS_MAX: Final = 160

_STYLE: Final = {
    "completed": "green", "running": "cyan", "retrying": "yellow", "suspended": "yellow", "parked": "magenta",
    "failed": "red", "cancelled": "red", "expired": "red", "rejected": "red", "timed out": "red", "waiting": "yellow",
}  # fmt: skip
_STATE: Final = {
    "step.intended": "running",
    "step.retrying": "retrying",
    "step.completed": "completed",
    "step.failed": "failed",
    "wait.started": "waiting",
    "wait.completed": "completed",
    "wait.timed_out": "timed out",
}


class _Row:
    """A step or a wait."""

    def __init__(self, key: str, began_at: datetime | None) -> None:
        self.key = key
        self.state = "running"
        self.tries = 1
        self.began_at = began_at
        self.ended_at: datetime | None = None
        self.note = ""


class Watched:
    """What is known of a turn. Safe to draw from another thread than the one that takes events."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._assembler = Assembler()
        self._rows: dict[str, _Row] = {}
        self._last_at: datetime | None = turn.started_at
        self._notes: list[str] = []
        self._lock = threading.Lock()

    def take(self, event: StreamEvent) -> None:
        """Go on by one event."""
        with self._lock:
            self._assembler.take(event)
            if isinstance(event, Event):
                self._durable(event)
            elif isinstance(event, Frame) and event.step:
                row = self._rows.setdefault(event.step, _Row(event.step, event.at))
                row.state = "running"
            elif isinstance(event, Resync):
                self._rows.clear()
                self._notes.append(f"the database lost its tail: what came after event {event.from_seq} is void")
            elif isinstance(event, Snapshot):
                self._turn = event.turn

    def _durable(self, event: Event) -> None:
        if event.type == "turn.reset":
            self._notes.append(f"attempt {event.attempt} begins: what was not recorded before is void")
            self._rows = {key: row for key, row in self._rows.items() if row.ended_at is not None}
        if state := _STATE.get(event.type):
            row = self._rows.setdefault(event.key, _Row(event.key, self._last_at if _is_end(state) else event.at))
            row.state = state
            row.tries = int(event.data.get("attempts", row.tries))
            row.note = str(event.data.get("message") or event.data.get("name") or "")
            row.ended_at = event.at if _is_end(state) else None
        self._last_at = event.at or self._last_at

    def draw(self, now: datetime) -> RenderableType:
        with self._lock:
            parts: list[RenderableType] = [self._head(now)]
            if self._rows:
                parts.append(self._table(now))
            parts += [Text(note, "yellow") for note in self._notes[-3:]]
            for channel in self._assembler.channels:
                parts.append(Text(f"{channel.name}{f' ({channel.step})' if channel.step else ''}", "dim"))
                value = channel.value if isinstance(channel.value, str) else _json(channel.value)
                parts.append(Text("\n".join(value.splitlines()[-_LINES_MAX:])))
            return Group(*parts)

    def _head(self, now: datetime) -> Text:
        turn, status = self._turn, self._assembler.status or self._turn.status
        text = Text.assemble(("turn ", "dim"), turn.turn_id, "  ", (status, _STYLE.get(status, "")))
        text.append(f"  {turn.workflow or ''}  attempt {max(1, self._assembler.attempt)}")
        began_at = turn.started_at or turn.accepted_at
        if began_at and status in ("running", "suspended", "parked"):
            text.append(f"  {in_words((now - began_at).total_seconds())}", "dim")
        return text

    def _table(self, now: datetime) -> Table:
        table = Table(box=None, padding=(0, 1, 0, 0), show_header=False)
        for row in list(self._rows.values())[-_ROWS_MAX:]:
            until = row.ended_at or now
            took = in_words((until - row.began_at).total_seconds()) if row.began_at else ""
            tries = f"try {row.tries}" if row.tries > 1 else ""
            table.add_row(Text(row.key), Text(row.state, _STYLE.get(row.state, "")), took, tries, Text(row.note[:80]))
        return table


def watch_turn(urls: Sequence[str], turn_id: str, *, console: Console | None = None) -> int:
    """Watch a turn to its end, or to Ctrl-C, which it survives. Returns the exit code: 0 when it completed.

    Raises ProblemError, GatewayUnreachableError, CallerError.
    """
    console = console or Console(highlight=False)
    try:
        with Client(*urls, retry_s=_RETRY_S) as client:
            handle = client.turn(turn_id)
            _watch(console, Watched(handle.get()), handle.events())
            return _say_end(console, handle.get())
    except KeyboardInterrupt:
        console.print(f"the turn goes on: argosy turn watch {turn_id}")
        return 0


def _watch(console: Console, watched: Watched, events: Iterable[StreamEvent]) -> None:
    if not console.is_terminal:
        for event in events:
            if not isinstance(event, Frame):
                console.print(_line(event), soft_wrap=True, markup=False)
        return
    clock = SystemClock()

    def draw() -> RenderableType:
        return watched.draw(datetime.fromtimestamp(clock.unix_ms() / 1000, UTC))

    with Live(get_renderable=draw, console=console, refresh_per_second=_REDRAWN_PER_S):
        for event in events:
            watched.take(event)


def _say_end(console: Console, turn: Turn) -> int:
    try:
        result = result_of(turn)
    except TurnError as error:
        console.print(Text(str(error), "red"))
        return 1
    console.print(Text(_json(result)), soft_wrap=True)
    return 0


def _line(event: StreamEvent) -> str:
    at = event.at.isoformat(timespec="milliseconds") if event.at else ""
    if isinstance(event, Event):
        what = f"{event.key} {_json(event.data) if event.data else ''}".strip()
    else:
        what = getattr(event, "channel", "") or str(getattr(event, "from_seq", ""))
    return f"{at} {event.seq:>4} {event.type:<16} {what[:_SHOWN_CHARACTERS_MAX]}".rstrip()


def _is_end(state: str) -> bool:
    return state in ("completed", "failed", "timed out")


def _json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=0).decode()
