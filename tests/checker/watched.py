"""Decides whether the clients of streams were told what happened: `breaches(watched, read)`, in plain words. Pure.

W1 every durable event 1..n, once each, as it was recorded. W2 the text that a client puts together is the one that was
recorded. W3 whoever runs again says so: turn.reset before another attempt's text, channel.reset before another try's.
W4 nothing of a channel comes before the events that it follows, or after the one that ends it. W5 nothing private.
"""

import json
from collections.abc import Collection, Iterator
from typing import Any, Final, NamedTuple

from tests.checker.history import ENDING_EVENT, SETTLED
from tests.checker.seen import Event, Read

LIVE: Final = frozenset({"frame", "channel.reset", "gap", "resync", "snapshot"})
_ENDS_STEP: Final = frozenset({"step.completed", "step.failed"})
_OWN: Final = ""  # the step of what the workflow itself says


class Heard(NamedTuple):
    """One message. connection: 1 and more; it changes when the client connects anew. data: of a frame its members."""

    connection: int
    type: str
    seq: int
    attempt: int
    key: str
    data: dict[str, Any]


class Watched(NamedTuple):
    """Everything that one client was told of one turn. shows: what a client of ours has in the end, by (step, channel);
    None: the client only reads.
    """

    turn_id: str
    heard: tuple[Heard, ...]
    shows: dict[tuple[str, str], Any] | None = None


class _Channel:
    """said: by a try that is not over. is_torn: something may be missing until the whole comes. must_reset: the try
    failed in front of the client. connection: of the newest that was said: who came back after it may have missed the
    rest, and is told it by the event that records the channel at the latest. is_reset: nothing was said of it since
    another attempt began: that event may be the first to tell.
    """

    def __init__(self) -> None:
        self.said = ""
        self.recorded = ""
        self.is_torn = False
        self.must_reset = False
        self.connection = 0
        self.is_reset = False

    def reset(self) -> None:
        """Another attempt begins: what no event holds is void."""
        self.said, self.is_torn, self.must_reset, self.is_reset = self.recorded, False, False, True


class _Client:
    """Puts together what it is told."""

    def __init__(self, turn_id: str, told: dict[int, Event], needed: dict[str, int]) -> None:
        self.where = f"turn {turn_id}"
        self.told = told
        self.needed = needed
        self.seq = 0
        self.attempt = 0
        self.connection = 0
        self.over: set[str] = set()
        self.channels: dict[tuple[str, str], _Channel] = {}

    def take(self, heard: Heard) -> Iterator[str]:
        self.connection = heard.connection
        if heard.type == "resync":
            self.seq = int(heard.data["from_seq"])
            self.channels.clear()
            self.over = {event.key for seq, event in self.told.items() if seq <= self.seq and event.type in _ENDS_STEP}
        elif heard.type in LIVE:
            yield from self._live(heard)
        else:
            yield from self._durable(heard)

    def _durable(self, heard: Heard) -> Iterator[str]:
        if heard.seq != self.seq + 1:
            yield f"W1 numbers: {self.where} told event {heard.seq} after {self.seq}"
        true = self.told.get(heard.seq)
        if true is None or (true.type, true.attempt, true.key) != (heard.type, heard.attempt, heard.key):
            yield f"W1 other: {self.where} told {heard.seq} as {heard.type} {heard.key} of attempt {heard.attempt}"
        if heard.attempt > max(self.attempt, 1) and heard.type != "turn.reset":
            yield f"W3 reset: {self.where} went to attempt {heard.attempt} with {heard.type}"
        self.seq, self.attempt = heard.seq, max(self.attempt, heard.attempt)
        for name, held in heard.data.get("channels", {}).items():
            yield from self._recorded(heard, name, held)
        if heard.type in _ENDS_STEP:
            self.over.add(heard.key)
        elif heard.type == "turn.reset":
            for channel in self.channels.values():
                channel.reset()
        elif heard.type == "step.retrying":
            for (step, _), channel in self.channels.items():
                channel.must_reset |= step == heard.key and channel.said != ""

    def _recorded(self, heard: Heard, name: str, held: dict[str, Any]) -> Iterator[str]:
        if "text" not in held:
            return
        step = heard.key if heard.type in _ENDS_STEP else _OWN  # a turn is parked by a step, and with its own channels
        channel = self.channels.setdefault((step, name), _Channel())
        has_missed = channel.is_reset or channel.connection != heard.connection
        is_right = held["text"].startswith(channel.said) if has_missed else channel.said in ("", held["text"])
        if not is_right or channel.is_torn:
            where = f"{self.where}, {step or 'the workflow'}/{name}"
            yield f"W2 text: {where} was {_end(channel.said)} when event {heard.seq} recorded {_end(held['text'])}"
        channel.said = channel.recorded = held["text"]
        channel.connection = heard.connection
        channel.is_torn = channel.must_reset = channel.is_reset = False

    def _live(self, heard: Heard) -> Iterator[str]:
        step, name = heard.data["step"], heard.data["channel"]
        where = f"{self.where}, {step or 'the workflow'}/{name}"
        channel = self.channels.setdefault((step, name), _Channel())
        channel.is_reset = False
        if heard.type != "frame":
            channel.must_reset = False
            if heard.type == "gap":
                channel.is_torn = True
            else:
                channel.said, channel.is_torn = "", False
            return
        if heard.attempt > self.attempt:
            yield f"W3 reset: {where} goes on in attempt {heard.attempt} and {self.attempt} was not reset"
        if heard.attempt < self.attempt:
            yield f"W3 void: {where} goes on in attempt {heard.attempt} after the reset to {self.attempt}"
        if heard.seq > self.seq or self.needed.get(step, 0) > self.seq:
            yield f"W4 early: {where} is told after event {self.seq}, before {max(heard.seq, self.needed.get(step, 0))}"
        if step in self.over:
            yield f"W4 late: {where} is told after its end"
        if channel.must_reset:
            channel.must_reset = False
            yield f"W3 retry: {where} goes on after a retry without a channel.reset"
        channel.connection = heard.connection
        if "text" in heard.data:
            yield from self._say(where, channel, heard.data["offset"], heard.data["text"])

    def _say(self, where: str, channel: _Channel, offset: int, text: str) -> Iterator[str]:
        if channel.is_torn:
            if offset:
                yield f"W2 gap: {where} goes on at {offset} and not with the whole"
            channel.said, channel.is_torn = text, False
        elif offset > len(channel.said):
            yield f"W2 hole: {where} has {len(channel.said)} characters and goes on at {offset}"
            channel.said += "?" * (offset - len(channel.said)) + text
        else:
            known = channel.said[offset : offset + len(text)]
            if not text.startswith(known):
                yield f"W2 rewritten: {where} told {_end(known)} and then {_end(text)} at {offset}"
            channel.said = channel.said[:offset] + text + channel.said[offset + len(text) :]


def breaches(watched: Watched, read: Read, secrets: Collection[str] = ()) -> list[str]:
    """Every broken promise to one client; [] when all were kept. secrets: what no stream may contain. The steps of the
    turn ran one after the other.
    """
    told = {event.seq: event for event in read.events}
    client = _Client(watched.turn_id, told, _needed(read))
    found = [line for heard in watched.heard for line in client.take(heard)]
    if client.seq != len(read.events):
        found.append(f"W1 numbers: {client.where} was told up to {client.seq} of {len(read.events)} events")
    if read.events and read.events[-1].type not in ENDING_EVENT.values():
        found.append(f"W1 end: {client.where} has not ended: {read.status}")
    found += _values(watched, read, client)
    said = json.dumps([heard._asdict() for heard in watched.heard])
    found += [f"W5 private: {client.where} told {secret!r}" for secret in secrets if secret in said]
    return found


def _values(watched: Watched, read: Read, client: _Client) -> Iterator[str]:
    """W2 at the end: what both sides hold."""
    recorded: dict[tuple[str, str], Any] = {}
    for event in read.events:
        for name, held in ((event.data or {}).get("channels") or {}).items():
            recorded[event.key if event.type in _ENDS_STEP else _OWN, name] = held.get("text", held.get("json"))
    for (step, name), value in recorded.items():
        where = f"{client.where}, {step or 'the workflow'}/{name}"
        channel = client.channels.get((step, name))
        if isinstance(value, str) and (channel is None or channel.said != value):
            said = "nothing" if channel is None else _end(channel.said)
            yield f"W2 result: {where} is {said} in the end, recorded is {_end(value)}"
        if watched.shows is not None and watched.shows.get((step, name)) != value:
            shown = str(watched.shows.get((step, name)))
            yield f"W2 client: {where} is shown as {_end(shown)}, recorded is {_end(str(value))}"


def _needed(read: Read) -> dict[str, int]:
    """The outcome before each step's own first event: until it was told, the step had not begun."""
    needed: dict[str, int] = {}
    settled = 0
    for event in read.events:
        if event.key and event.type.startswith("step."):
            needed.setdefault(event.key, settled)
        if event.type in SETTLED or event.type == "turn.started":
            settled = event.seq
    return needed


def _end(text: str) -> str:
    return f"{len(text)} characters …{text[-24:]!r}"
