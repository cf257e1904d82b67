"""A journal over a list: what a worker's journal promises, without a worker, a flush or a database.

Everything recorded is durable at once. Waits end when the test says so: `signals` holds payloads to take, `say` adds
one, and `passes_time` lets sleeps, retries and timeouts be over as soon as nothing else happens.
"""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import msgspec

from argosy.errors import SettingError
from argosy.graph.facts import FencingToken
from argosy.graph.names import own_graph_of
from argosy.identity.turn_principal import TurnPrincipal
from argosy.process import fork
from argosy.turn.events import Event
from argosy.turn.wait import WaitKind
from argosy.workflow.channel_bounds import ChannelBounds
from argosy.workflow.channels import Channels
from argosy.workflow.graphs import Graphs, LaneGraphs, TurnGraphs
from argosy.workflow.ingests import Ingests
from argosy.workflow.journal import Emitter
from argosy.workflow.open_attempt import OpenAttempt
from argosy.workflow.own_emits import Kept
from argosy.workflow.replay import Recorded, Replay, Row

_REAL_S_MAX = 0.1  # shorter timers than this come due by themselves, too
TURN_ID = uuid.UUID("01934567-89ab-8cde-8f01-23456789abcd")


class ListJournal:
    """See argosy.workflow.journal.Journal. history: what earlier attempts left."""

    def __init__(self, history: list[Row] | None = None, *, attempt: int = 1, passes_time: bool = True) -> None:
        self.rows: list[Row] = list(history or [])
        self.is_new = not self.rows
        self.turn_id = TURN_ID
        self.tenant = "default"
        self.session = "customer-1"
        self.principal: TurnPrincipal | None = None
        self.needs_rights = False
        self.attempt = attempt
        self.passes_time = passes_time
        self.signals: dict[str, list[Any]] = {}
        self.waits: list[tuple[str, str, str, float | None]] = []
        self.is_waiting = asyncio.Event()
        self.calls: list[tuple[str, str]] = []
        self.now_s = 1_763_700_000.25
        self.hidden: set[str] = set()
        self.bounds = ChannelBounds(1_000, 4_096, 8_192, 8)
        self.kept: Kept | None = None
        self.emitted: Channels | None = None
        self.emitter: Emitter | None = None
        self.replay = Replay(self.rows)
        self.shards: Graphs | None = None
        self.ingests: Ingests | None = None
        self.token = FencingToken(uuid.UUID(int=7), 1, 1, attempt)
        self.is_stopped = False
        self.is_cancelled = False
        self.knows_of_cancel = False
        self.is_resting = asyncio.Event()
        self.open_waits: dict[str, tuple[str, str, float | None]] = {}
        self._advance: Callable[[], None] = lambda: None
        self._fired: list[str] = []

    def follow(self, advance: Callable[[], None]) -> None:
        self._advance = advance

    def cancel(self) -> None:
        """The turn is cancelled."""
        self.record(Event.TURN_CANCELLING, "", b'{"until":"2026-01-01T00:00:00+00:00"}')
        self.is_cancelled = True
        self._advance()

    def note_cancelled(self) -> None:
        self.knows_of_cancel = True

    def starts_now(self, key: str) -> bool:
        return False

    async def ready(self, key: str) -> None:
        self.calls.append(("ready", key))

    def left(self, key: str) -> None:
        """Nothing is handed over here."""

    def hide(self, key: str) -> None:
        self.hidden.add(key)

    def is_hidden(self, key: str) -> bool:
        return key in self.hidden or key.rpartition("~")[0] in self.hidden

    @property
    def seq(self) -> int:
        return len(self.rows)

    def open(self, emitter: Emitter) -> None:
        self.emitter = emitter

    def channels(self) -> Channels:
        return Channels(self.bounds, self, self.kept)

    def show(self, channels: Channels) -> None:
        self.emitted = channels

    def reveal(self) -> Channels:
        """What the attempt has emitted, as a watcher gets it who comes now."""
        assert isinstance(self.emitter, OpenAttempt)
        return self.emitter.reveal()

    def record(self, event: Event, key: str, data: bytes) -> None:
        self.calls.append((event.value, key))
        msgspec.json.decode(data)
        self.rows.append((len(self.rows) + 1, self.attempt, event.value, key, data))
        if self.emitted is not None:
            self.emitted.follow()

    async def durable(self, key: str) -> None:
        self.calls.append(("durable", ""))

    def begin_wait(self, key: str, kind: WaitKind, name: str, timeout_s: float | None) -> None:
        self.waits.append((key, kind, name, timeout_s))
        self.open_waits[key] = (kind, name, timeout_s)
        self.is_waiting.set()
        if self.passes_time and timeout_s is not None and timeout_s < _REAL_S_MAX:
            asyncio.get_running_loop().call_later(timeout_s, self.fire, key)
        if not self.replay.is_started(key):
            self.record(
                Event.WAIT_STARTED, key, msgspec.json.encode({"kind": kind, "name": name, "timeout_s": timeout_s})
            )

    def take_timer(self, key: str) -> float | None:
        return None

    def end_wait(self, key: str) -> None:
        self.open_waits.pop(key, None)

    def say(self, name: str, payload: Any) -> None:
        """Send a signal."""
        self.signals.setdefault(name, []).append(payload)
        self._advance()

    def fire(self, key: str) -> None:
        """Let the timer of this wait come due."""
        if key in self.open_waits:
            self._fired.append(key)
        self._advance()

    def next_over(self) -> tuple[str, Recorded] | None:
        for key, (kind, name, _) in self.open_waits.items():
            if kind == "signal" and self.signals.get(name):
                data = b'{"payload":' + msgspec.json.encode(self.signals[name].pop(0)) + b"}"
                return self._over(key, Event.WAIT_COMPLETED, data)
        while self._fired:
            key = self._fired.pop(0)
            if key in self.open_waits:
                return self._time_out(key)
        return None

    def rest(self) -> None:
        """The timer that is due first is over, if time passes."""
        timed = [(each[2], number, key) for number, (key, each) in enumerate(self.open_waits.items())]
        if self.passes_time and (due := [(wait_s, number, key) for wait_s, number, key in timed if wait_s is not None]):
            self._fired.append(min(due)[2])
            asyncio.get_running_loop().call_soon(self._advance)
        else:
            self.is_resting.set()

    def _time_out(self, key: str) -> tuple[str, Recorded]:
        kind, _, timeout_s = self.open_waits[key]
        self.now_s += timeout_s or 0.0
        return self._over(key, Event.WAIT_TIMED_OUT if kind == "signal" else Event.WAIT_COMPLETED, b"{}")

    def _over(self, key: str, event: Event, data: bytes) -> tuple[str, Recorded]:
        del self.open_waits[key]
        self.record(event, key, data)
        return key, Recorded(event, data)

    def graphs(self) -> TurnGraphs:
        if self.shards is None:
            raise SettingError("there are no shards for graphs: set GRAPH_SERVICE_ENDPOINTS for this worker")
        loop, own = asyncio.get_running_loop(), own_graph_of("default", self.session)
        lane = LaneGraphs(self.shards, "default", None, loop, fork.depth, self.ingests, self.needs_rights)
        return TurnGraphs(lane, self.tenant, own, self.token, self.session, self.principal)

    def database_time_s(self) -> float:
        return self.now_s

    def outcomes(self) -> list[tuple[str, str]]:
        """(type, key) of what was recorded, in order."""
        return [(kind, key) for _seq, _attempt, kind, key, _data in self.rows]

    def data(self, kind: str, key: str) -> Any:
        """The data of the last event of this type under this key, but for how long a try took."""
        data = next(msgspec.json.decode(row[4]) for row in reversed(self.rows) if row[2:4] == (kind, key))
        data.pop("took_ms", None)
        data.pop("args", None)
        return data
