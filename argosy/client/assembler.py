"""Computes the current value of each channel of a turn from the events of its stream. Pure.

Promise: whatever the stream left out, repeated, declared void or began anew, after each event the channels hold what
the gateway intends, and after a durable event that records a channel, exactly the recorded value.
"""

from typing import Any, Final, NamedTuple

import jsonpatch
from msgspec import UNSET, UnsetType

from argosy.client.events import ChannelReset, Event, Frame, Gap, Resync, Snapshot, StreamEvent
from argosy.client.turn import Turn
from argosy.turn.events import STATUS_AFTER
from argosy.turn.events import Event as Type

# Values kept per channel, for a resync that goes back: a channel that a workflow fills is recorded at every suspension,
# and a resync may go back as far as a backup.
_RECORDED_MAX: Final = 1_000


class Channel(NamedTuple):
    """A channel and its value. step: the key of the step that fills it; empty when the workflow fills it. value: a
    string, or any JSON. is_recorded: the value is durable, and stays unless the channel is filled further. is_whole:
    nothing of the value is missing.
    """

    step: str
    name: str
    value: Any
    is_recorded: bool
    is_whole: bool


class _Prefix(NamedTuple):
    """A recorded text that the next recorded text begins with, kept as its length only: so a text that grows is not
    stored many times.
    """

    length: int


class _Filling:
    """The state of one channel. n: number of its newest frame; 0 when no frame has come yet, or its whole value comes
    next. recorded: the values in durable events, as (seq, value); the last one is the newest, and never a _Prefix.
    """

    __slots__ = ("is_recorded", "is_whole", "n", "recorded", "value")

    def __init__(self) -> None:
        self.value: Any = UNSET
        self.n = 0
        self.is_whole = True
        self.is_recorded = False
        self.recorded: list[tuple[int, Any]] = []

    def clear(self) -> None:
        """Return to the last recorded value: what was not recorded is void."""
        self.n, self.is_whole = 0, True
        self.is_recorded = bool(self.recorded)
        self.value = self.recorded[-1][1] if self.recorded else UNSET

    def record(self, seq: int, value: Any) -> None:
        self._forget(seq - 1)
        if self.recorded and isinstance(value, str):
            before_seq, before = self.recorded[-1]
            if isinstance(before, str) and value.startswith(before):
                self.recorded[-1] = before_seq, _Prefix(len(before))
        self.recorded.append((seq, value))
        del self.recorded[:-_RECORDED_MAX]
        self.clear()

    def go_back(self, seq: int) -> None:
        """Return to the value as of event seq: what came after it is void."""
        self._forget(seq)
        self.clear()

    def _forget(self, seq: int) -> None:
        text = ""
        while self.recorded and self.recorded[-1][0] > seq:
            _, value = self.recorded.pop()
            text = value if isinstance(value, str) else text
        if self.recorded and isinstance(self.recorded[-1][1], _Prefix):
            at_seq, prefix = self.recorded[-1]
            self.recorded[-1] = at_seq, text[: prefix.length]

    def fill(self, frame: Frame) -> None:
        self.is_recorded = False
        if isinstance(frame.text, str):
            self._say(frame.offset, frame.text)
        elif not isinstance(frame.patch, UnsetType):
            self._patch(frame.n, frame.patch)
        else:
            self.value, self.is_whole = frame.json, True
        self.n = frame.n

    def _say(self, offset: int, text: str) -> None:
        so_far = self.value if isinstance(self.value, str) else ""
        if offset == 0 and self.n == 0:
            self.value, self.is_whole = text, True
        elif offset > len(so_far):
            self.value, self.is_whole = so_far, False  # the whole value follows a gap, or is in the durable event
        elif so_far[offset : offset + len(text)] != text:  # else this frame was sent twice
            self.value = so_far[:offset] + text

    def _patch(self, n: int, operations: list[dict[str, Any]]) -> None:
        if 0 < n <= self.n:
            return  # this frame was sent twice
        try:
            self.value = jsonpatch.apply_patch(None if self.value is UNSET else self.value, operations)
        except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError):
            self.is_whole = False


class Assembler:
    """Takes the events of one turn, in the order of its stream, over any number of connections.

    attempt, seq and status are those of the turn as of the last event; status is None until an event tells it.
    """

    def __init__(self) -> None:
        self.attempt = 0
        self.seq = 0
        self.status: str | None = None
        self.snapshot: Turn | None = None
        self._channels: dict[tuple[str, str], _Filling] = {}
        self._raised: list[tuple[int, int]] = []  # (seq, attempt): the event that first had this attempt

    @property
    def channels(self) -> list[Channel]:
        """Every channel that has a value, in the order in which the events first named them."""
        return [
            Channel(step, name, each.value, each.is_recorded, each.is_whole)
            for (step, name), each in self._channels.items()
            if each.value is not UNSET
        ]

    def value(self, name: str, step: str | None = None) -> Any:
        """Return the value of a channel, or None when it has none yet. step: the key of the step that fills it; without
        it, of several channels with this name the one that was named last.
        """
        found = [each for each in self.channels if each.name == name and step in (None, each.step)]
        return found[-1].value if found else None

    def text(self, name: str, step: str | None = None) -> str:
        """Return the text of a channel so far; empty when its value is no text."""
        value = self.value(name, step)
        return value if isinstance(value, str) else ""

    def take(self, event: StreamEvent) -> None:
        """Apply the next event."""
        if isinstance(event, Frame):
            self._filling(event.step, event.channel).fill(event)
        elif isinstance(event, ChannelReset):
            self._void([(event.step, event.channel)])
        elif isinstance(event, Gap):
            self._filling(event.step, event.channel).n = 0  # the value stays until the whole one comes
        elif isinstance(event, Resync):
            self._resync(event.from_seq)
        elif isinstance(event, Snapshot):
            self._begin(event.turn, event.seq)
        else:
            self._durable(event)
        if event.attempt > self.attempt:
            self.attempt = event.attempt
            self._raised.append((event.seq, event.attempt))

    def _durable(self, event: Event) -> None:
        self.seq = max(self.seq, event.seq)
        if event.type == Type.TURN_RESET:
            self._void(list(self._channels))
        elif event.type in (Type.STEP_RETRYING, Type.STEP_CANCELLED):
            self._void([key for key in self._channels if key[0] == event.key])
        # When a step parks its turn, the turn's event has the step's key, but the channels are the workflow's.
        step = "" if event.type.startswith("turn.") else event.key
        recorded = event.data.get("channels")
        for name, held in (recorded if isinstance(recorded, dict) else {}).items():
            value = held.get("text", held.get("json"))
            self._filling(step, name).record(event.seq, value)
        self.status = _STATUS.get(event.type, self.status)

    def _filling(self, step: str, name: str) -> _Filling:
        return self._channels.setdefault((step, name), _Filling())

    def _void(self, keys: list[tuple[str, str]]) -> None:
        for key in keys:
            if filling := self._channels.get(key):
                filling.clear()

    def _resync(self, from_seq: int) -> None:
        for filling in self._channels.values():
            filling.go_back(from_seq)
        self._raised = [each for each in self._raised if each[0] <= from_seq]
        self.attempt = self._raised[-1][1] if self._raised else 0
        self.seq = from_seq
        self.status = None

    def _begin(self, turn: Turn, seq: int) -> None:
        self._channels.clear()
        self.snapshot, self.seq, self.attempt, self.status = turn, seq, turn.attempt, turn.status
        self._raised = [(seq, turn.attempt)]


_STATUS: Final = {event.value: status.value for event, status in STATUS_AFTER.items()}
