"""Decides whether the clients of streams were told what happened: `breaches(followed, read)`, in plain words. Pure.

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


class Message(NamedTuple):
    """One message. connection: 1 and more; it changes when the client connects anew. data: of a frame its members."""

    connection: int
    type: str
    seq: int
    attempt: int
    key: str
    data: dict[str, Any]


class Followed(NamedTuple):
    """Everything that one client was told of one turn. shows: what a client of ours has in the end, by (step, channel);
    None: the client only reads.
    """

    turn_id: str
    messages: tuple[Message, ...]
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

    def take(self, message: Message) -> Iterator[str]:
        self.connection = message.connection
        if message.type == "resync":
            self.seq = int(message.data["from_seq"])
            self.channels.clear()
            self.over = {event.key for seq, event in self.told.items() if seq <= self.seq and event.type in _ENDS_STEP}
        elif message.type in LIVE:
            yield from self._live(message)
        else:
            yield from self._durable(message)

    def _durable(self, message: Message) -> Iterator[str]:
        if message.seq != self.seq + 1:
            yield f"W1 numbers: {self.where} told event {message.seq} after {self.seq}"
        true = self.told.get(message.seq)
        if true is None or (true.type, true.attempt, true.key) != (message.type, message.attempt, message.key):
            as_told = f"{message.type} {message.key} of attempt {message.attempt}"
            yield f"W1 other: {self.where} told {message.seq} as {as_told}"
        if message.attempt > max(self.attempt, 1) and message.type != "turn.reset":
            yield f"W3 reset: {self.where} went to attempt {message.attempt} with {message.type}"
        self.seq, self.attempt = message.seq, max(self.attempt, message.attempt)
        for name, held in message.data.get("channels", {}).items():
            yield from self._recorded(message, name, held)
        if message.type in _ENDS_STEP:
            self.over.add(message.key)
        elif message.type == "turn.reset":
            for channel in self.channels.values():
                channel.reset()
        elif message.type == "step.retrying":
            for (step, _), channel in self.channels.items():
                channel.must_reset |= step == message.key and channel.said != ""

    def _recorded(self, message: Message, name: str, held: dict[str, Any]) -> Iterator[str]:
        if "text" not in held:
            return
        # A turn is parked by a step, and with its own channels.
        step = message.key if message.type in _ENDS_STEP else _OWN
        channel = self.channels.setdefault((step, name), _Channel())
        has_missed = channel.is_reset or channel.connection != message.connection
        is_right = held["text"].startswith(channel.said) if has_missed else channel.said in ("", held["text"])
        if not is_right or channel.is_torn:
            where = f"{self.where}, {step or 'the workflow'}/{name}"
            yield f"W2 text: {where} was {_end(channel.said)} when event {message.seq} recorded {_end(held['text'])}"
        channel.said = channel.recorded = held["text"]
        channel.connection = message.connection
        channel.is_torn = channel.must_reset = channel.is_reset = False

    def _live(self, message: Message) -> Iterator[str]:
        step, name = message.data["step"], message.data["channel"]
        where = f"{self.where}, {step or 'the workflow'}/{name}"
        channel = self.channels.setdefault((step, name), _Channel())
        channel.is_reset = False
        if message.type != "frame":
            channel.must_reset = False
            if message.type == "gap":
                channel.is_torn = True
            else:
                channel.said, channel.is_torn = "", False
            return
        if message.attempt > self.attempt:
            yield f"W3 reset: {where} goes on in attempt {message.attempt} and {self.attempt} was not reset"
        if message.attempt < self.attempt:
            yield f"W3 void: {where} goes on in attempt {message.attempt} after the reset to {self.attempt}"
        if message.seq > self.seq or self.needed.get(step, 0) > self.seq:
            needed = max(message.seq, self.needed.get(step, 0))
            yield f"W4 early: {where} is told after event {self.seq}, before {needed}"
        if step in self.over:
            yield f"W4 late: {where} is told after its end"
        if channel.must_reset:
            channel.must_reset = False
            yield f"W3 retry: {where} goes on after a retry without a channel.reset"
        channel.connection = message.connection
        if "text" in message.data:
            yield from self._say(where, channel, message.data["offset"], message.data["text"])

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


def breaches(followed: Followed, read: Read, secrets: Collection[str] = ()) -> list[str]:
    """Every broken promise to one client; [] when all were kept. secrets: what no stream may contain. The steps of the
    turn ran one after the other.
    """
    told = {event.seq: event for event in read.events}
    client = _Client(followed.turn_id, told, _needed(read))
    found = [line for message in followed.messages for line in client.take(message)]
    if client.seq != len(read.events):
        found.append(f"W1 numbers: {client.where} was told up to {client.seq} of {len(read.events)} events")
    if read.events and read.events[-1].type not in ENDING_EVENT.values():
        found.append(f"W1 end: {client.where} has not ended: {read.status}")
    found += _values(followed, read, client)
    said = json.dumps([message._asdict() for message in followed.messages])
    found += [f"W5 private: {client.where} told {secret!r}" for secret in secrets if secret in said]
    return found


def _values(followed: Followed, read: Read, client: _Client) -> Iterator[str]:
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
        if followed.shows is not None and followed.shows.get((step, name)) != value:
            shown = str(followed.shows.get((step, name)))
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
