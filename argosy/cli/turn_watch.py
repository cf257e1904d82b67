"""`argosy turn watch`: draws a turn again as it changes; without a terminal, prints its events as lines."""

import sys
import threading
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from argosy.cli.credentials import open_client
from argosy.cli.fleet_table import in_words
from argosy.client import (
    Assembler,
    Event,
    Frame,
    Resync,
    Snapshot,
    StreamEvent,
    Turn,
    TurnError,
    TurnFailedError,
    TurnHandle,
)
from argosy.clock import SystemClock
from argosy.printable import printable
from argosy.turn.events import STEP_STATUS_AFTER, WAIT_STATUS_AFTER
from argosy.turn.events import Event as Type
from argosy.turn.status import HELD

_RETRY_S: Final = 10.0  # a gateway that is started again needs a few seconds
_REDRAWN_PER_S: Final = 8  # text that comes in flows to the eye
_LINES_MAX: Final = 12  # of one channel; the newest are shown
_ROWS_MAX: Final = 30  # operations, the newest: a screen has little more room
_SHOWN_CHARACTERS_MAX: Final = 160  # of an event: two lines of a terminal
_LINE_CUT_CHARACTERS: Final = 8_192  # a long line is cut at a multiple of this, so that its wrapped text does not shift
_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells have it

_STYLE: Final = {
    "completed": "green", "running": "cyan", "retrying": "yellow", "suspended": "yellow", "parked": "magenta",
    "failed": "red", "cancelled": "red", "expired": "red", "rejected": "red", "timed out": "red", "waiting": "yellow",
}  # fmt: skip
_STATE_OF_STATUS: Final = {
    "intended": "running",
    "private": "completed",
}  # other statuses have the same name here
_STATUS_AFTER: Final = STEP_STATUS_AFTER | WAIT_STATUS_AFTER


class _Row:
    """A step or a wait in the table. seq: the number of the newest event about it."""

    def __init__(self, key: str, seq: int, began_at: datetime | None, state: str = "running") -> None:
        self.key = key
        self.seq = seq
        self.state = state
        self.tries = 1
        self.began_at = began_at
        self.ended_at: datetime | None = None
        self.note = ""


class _Drawn(NamedTuple):
    """The drawing of a turn, cut to fit the terminal: the newest rows and lines stay, and when there is text of
    channels, rows get at most half of the room.
    """

    head: Text
    rows: Table
    notes: list[Text]
    channels: list[tuple[Text, Text]]  # title, value

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        def lines(part: RenderableType) -> list[list[Segment]]:
            return console.render_lines(part, options.update(height=None), pad=False)

        head, notes = lines(self.head), [line for note in self.notes for line in lines(note)]
        room = max(2, console.height - 1 - len(head) - len(notes)) if console.is_terminal else sys.maxsize
        rows = lines(self.rows)[-room:] if self.rows.row_count else []
        said = []
        if self.channels:
            rows = rows[-max(1, room // 2) :]
            each = min(_LINES_MAX, max(1, (room - len(rows)) // len(self.channels) - 1))
            for title, value in self.channels:
                said += [*lines(title)[:1], *lines(value)[-each:]]
            said = said[len(rows) - room :]
        for line in (*head, *rows, *notes, *said):
            yield from line
            yield Segment.line()


class Watched:
    """What the events have told of a turn so far. One thread may draw it while another one takes events."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._assembler = Assembler()
        self._rows: dict[str, _Row] = {}
        self._last_at: datetime | None = turn.started_at
        self._notes: list[str] = []
        self._lock = threading.Lock()

    def take(self, event: StreamEvent) -> None:
        """Apply the next event."""
        with self._lock:
            self._assembler.take(event)
            if isinstance(event, Event):
                self._durable(event)
            elif isinstance(event, Frame) and event.step:
                row = self._rows.setdefault(event.step, _Row(event.step, event.seq, event.at))
                row.state = "running"
            elif isinstance(event, Resync):
                self._rows = {key: row for key, row in self._rows.items() if row.seq <= event.from_seq}
                self._notes.append(f"the database lost its tail: what came after event {event.from_seq} is void")
            elif isinstance(event, Snapshot):
                self._begin(event)

    def _begin(self, snapshot: Snapshot) -> None:
        self._turn = snapshot.turn
        self._rows = {
            each.key: _Row(each.key, snapshot.seq, None, _state_of(each.status)) for each in snapshot.turn.steps
        }
        for wait in snapshot.turn.waits:
            self._rows[wait.key] = _Row(wait.key, snapshot.seq, None, "waiting")
            self._rows[wait.key].note = wait.name or ""

    def _durable(self, event: Event) -> None:
        if event.type == Type.TURN_RESET:
            self._notes.append(f"attempt {event.attempt} begins: what was not recorded before is void")
            self._rows = {key: row for key, row in self._rows.items() if _is_end(row.state)}
        elif event.type == Type.TURN_PARKED:
            why = f"{event.data.get('reason', '')}: {event.data.get('message', '')}"
            self._notes.append(f"parked as {why}; argosy turn resume (or cancel) {self._turn.turn_id}")
        elif event.type == Type.TURN_CANCELLING:
            self._notes.append(f"it is cancelled, and may clean up until {event.data.get('until', '')}")
        if status := _STATUS_AFTER.get(event.type):
            state = _state_of(status)
            began_at = self._last_at if _is_end(state) else event.at
            row = self._rows.setdefault(event.key, _Row(event.key, event.seq, began_at))
            row.seq, row.state = event.seq, state
            row.tries = int(event.data.get("attempts", row.tries))
            row.note = str(event.data.get("message") or event.data.get("name") or "")
            row.ended_at = event.at if _is_end(state) else None
        self._last_at = event.at or self._last_at

    def draw(self, now: datetime) -> RenderableType:
        with self._lock:
            return _Drawn(
                self._head(now),
                self._table(now),
                [_text(note, "yellow") for note in self._notes[-3:]],
                [
                    (_text(f"{each.name} ({each.step})" if each.step else each.name, "dim"), _text(_tail(each.value)))
                    for each in self._assembler.channels
                ],
            )

    def _head(self, now: datetime) -> Text:
        turn, status = self._turn, self._assembler.status or self._turn.status
        text = Text.assemble(("turn ", "dim"), turn.turn_id, "  ", (status, _STYLE.get(status, "")))
        text.append(f"  {printable(turn.workflow or '')}  attempt {max(1, self._assembler.attempt)}")
        began_at = turn.started_at or turn.accepted_at
        if began_at and status in HELD:
            text.append(f"  {in_words((now - began_at).total_seconds())}", "dim")
        return text

    def _table(self, now: datetime) -> Table:
        table = Table(box=None, padding=(0, 1, 0, 0), show_header=False)
        for row in list(self._rows.values())[-_ROWS_MAX:]:
            until = row.ended_at or now
            took = in_words((until - row.began_at).total_seconds()) if row.began_at else ""
            tries = f"try {row.tries}" if row.tries > 1 else ""
            table.add_row(
                _text(row.key), _text(row.state, _STYLE.get(row.state, "")), took, tries, _text(row.note[:80])
            )
        return table


def watch_turn(urls: Sequence[str], turn_id: str, *, console: Console | None = None) -> int:
    """Watch a turn until it has ended, or until Ctrl-C, which does not stop the turn. Returns the exit code: 0 when the
    turn completed, 130 after Ctrl-C, else 1.

    Raises ProblemError, GatewayUnreachableError, CallerError.
    """
    console = console or Console(highlight=False)
    try:
        with open_client(*urls, retry_s=_RETRY_S) as client:
            handle = client.turn(turn_id)
            _watch(console, Watched(handle.get()), handle.events())
            return _say_end(console, handle)
    except KeyboardInterrupt:
        console.print(_text(f"the turn goes on: argosy turn watch {turn_id}"))
        return _INTERRUPTED


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


def _say_end(console: Console, handle: TurnHandle) -> int:
    try:
        result = handle.result()
    except TurnError as error:
        console.print(_text(str(error), "red"))
        if isinstance(error, TurnFailedError) and error.traceback:
            console.print(_text(error.traceback), soft_wrap=True)
        return 1
    console.print(_text(_json(result)), soft_wrap=True)
    return 0


def _line(event: StreamEvent) -> str:
    at = event.at.isoformat(timespec="milliseconds") if event.at else ""
    if isinstance(event, Event):
        data = event.data
        if event.is_ending:  # result and traceback are printed after the last event
            data = {name: value for name, value in data.items() if name not in ("result", "traceback")}
        what = f"{event.key} {_json(data) if data else ''}".strip()
    else:
        what = getattr(event, "channel", "") or str(getattr(event, "from_seq", ""))
    return printable(f"{at} {event.seq:>4} {event.type:<16} {what[:_SHOWN_CHARACTERS_MAX]}".rstrip())


def _text(text: str, style: str = "") -> Text:
    return Text(printable(text), style)


def _tail(value: Any) -> str:
    """Return the end of a channel's value, with no more than can be shown."""
    lines = (value if isinstance(value, str) else _json(value)).splitlines()[-_LINES_MAX:]
    return "\n".join(line[max(0, len(line) // _LINE_CUT_CHARACTERS - 1) * _LINE_CUT_CHARACTERS :] for line in lines)


def _state_of(status: str) -> str:
    """Return what a step or a wait with this status is called here."""
    return _STATE_OF_STATUS.get(status, status)


def _is_end(state: str) -> bool:
    return state in ("completed", "failed", "cancelled", "timed out")


def _json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=0).decode()
