"""A journal over a list: what a worker's journal promises, without a worker, a flush or a database.

Everything recorded is durable at once unless `is_durable_at_once` is off. Waits end when the test says so: `signals`
holds payloads to take, and `passes_time` lets sleeps, retries and timeouts be over at once; else a wait never returns.
"""

import asyncio
import uuid
from typing import Any

import msgspec

from argosy.errors import WaitTimeoutError
from argosy.turn.events import Event
from argosy.workflow.channel_bounds import ChannelBounds
from argosy.workflow.channels import Channels
from argosy.workflow.journal import Emitter, Park, Recorded, WaitKind
from argosy.workflow.open_attempt import OpenAttempt
from argosy.workflow.own_emits import Kept
from argosy.workflow.replay import Replay, Row

TURN_ID = uuid.UUID("01934567-89ab-8cde-8f01-23456789abcd")


class ListJournal:
    """See argosy.workflow.journal.Journal. history: what earlier attempts left."""

    def __init__(self, history: list[Row] | None = None, *, attempt: int = 1, passes_time: bool = True) -> None:
        self.rows: list[Row] = list(history or [])
        self.is_new = not self.rows
        self.turn_id = TURN_ID
        self.tenant = "default"
        self.session = "customer-1"
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
        self._replay = Replay(self.rows)

    def recorded(self, key: str) -> Recorded | None:
        return self._replay.recorded(key)

    def is_intended(self, key: str) -> bool:
        return self._replay.is_intended(key)

    def tries(self, key: str) -> int:
        return self._replay.tries(key)

    def unasked(self) -> list[str]:
        return list(self._replay.unasked())

    async def ready(self, key: str) -> None:
        self.calls.append(("ready", key))
        for _ in range(3):
            if not self._replay.unasked():
                return
            await asyncio.sleep(0)
        raise Park("history_mismatch", f"history has {self.unasked()[0]!r}, the code asks for {key!r}")

    def hide(self, key: str) -> None:
        self.hidden.add(key)

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

    def abandon(self, key: str) -> None:
        """Nothing is kept awake here."""

    def record(self, event: Event, key: str, data: bytes) -> None:
        self.calls.append((event.value, key))
        msgspec.json.decode(data)
        self.rows.append((len(self.rows) + 1, self.attempt, event.value, key, data))
        if self.emitted is not None:
            self.emitted.follow()

    async def durable(self, key: str) -> None:
        self.calls.append(("durable", ""))

    async def wait(self, key: str, kind: WaitKind, name: str, timeout_s: float | None) -> bytes | None:
        self.waits.append((key, kind, name, timeout_s))
        self.is_waiting.set()
        if not self._replay.is_started(key):
            self.record(
                Event.WAIT_STARTED, key, msgspec.json.encode({"kind": kind, "name": name, "timeout_s": timeout_s})
            )
        if kind == "signal" and self.signals.get(name):
            payload = msgspec.json.encode(self.signals[name].pop(0))
            self.record(Event.WAIT_COMPLETED, key, b'{"payload":' + payload + b"}")
            return payload
        if not self.passes_time or timeout_s is None:
            await asyncio.get_running_loop().create_future()
        self.now_s += timeout_s or 0.0
        if kind == "signal":
            self.record(Event.WAIT_TIMED_OUT, key, b"{}")
            raise WaitTimeoutError(f"no signal {name!r} came in time")
        self.record(Event.WAIT_COMPLETED, key, b"{}")
        return None

    def database_time_s(self) -> float:
        return self.now_s

    def outcomes(self) -> list[tuple[str, str]]:
        """(type, key) of what was recorded, in order."""
        return [(kind, key) for _seq, _attempt, kind, key, _data in self.rows]

    def data(self, kind: str, key: str) -> Any:
        """The data of the last event of this type under this key, but for how long a try took."""
        data = next(msgspec.json.decode(row[4]) for row in reversed(self.rows) if row[2:4] == (kind, key))
        data.pop("took_ms", None)
        return data
