"""Many gateways with little credit and slow streams, against what a turn really did: nothing is missed, nothing is told
twice or too early, and in the end everybody has every value.
"""

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.turn.events import Event
from tests.dispatch.watch.owner import Owner
from workers.dispatch.turn import Turn
from workers.dispatch.watch.hub import Wanted
from workers.dispatch.watch.line import Line

STEPS = "ab"


class Story:
    """What is durable of the turn: its events, as Postgres has them. emitted: for each try of a step, after which event
    of the turn it had which length.
    """

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.emitted: dict[tuple[str, int], list[tuple[int, int]]] = {}

    def may_be_told(self, step: str, tries: int, length: int) -> bool:
        return next(seq for seq, had in self.emitted[step, tries] if had >= length) <= len(self.events)


class Reader:
    """A gateway with one subscription: puts together what it is told, and reads the story when it must."""

    def __init__(self, owner: Owner, turn: Turn, story: Story) -> None:
        self._owner = owner
        self._turn = turn
        self._story = story
        self._number = 0
        self.last = (0, 0)
        self.seq = 0
        self.texts: dict[str, str] = {}
        self.line = Line(300)
        self.subscribe(200)

    @property
    def subscription(self) -> Any:
        return self.line.subscriptions[self._number]

    def subscribe(self, credit_bytes: int) -> None:
        """Anew, with the last frame that it has; then what is durable by now is read."""
        self._number += 1
        self.line = Line(300)
        wanted = Wanted(
            self._number, self._turn.turn_id, False, self._owner.worker_id, 0, self.last, False, False, credit_bytes
        )
        self._owner.hub.subscribe(self.line, wanted)
        self.read()

    def read(self) -> None:
        for event in self._story.events[self.seq :]:
            self._take(event.seq, event.type, event.key, event.data)

    def leave(self) -> None:
        self._owner.hub.close(self.line)

    def give(self, size_bytes: int) -> None:
        self._owner.hub.give_credit(self.subscription, size_bytes)

    def hear(self) -> None:
        """Take one message from the line."""
        was_full = self.line.is_full
        items = self.line.take()
        if was_full and not self.line.is_full:
            self._owner.hub.drained(self.line)
        for item in items:
            kind = item.WhichOneof("what")
            message = getattr(item, kind)
            if kind == "event" and message.seq > self.seq:
                assert message.seq == self.seq + 1
                self._take(message.seq, message.type, message.key, message.data)
            elif kind == "look":
                self.read()
            elif kind == "frame":
                assert message.seq <= self.seq
                assert message.offset == len(self.texts.get(message.step, ""))
                self.texts[message.step] = self.texts.get(message.step, "") + message.text.decode()
                assert self._story.may_be_told(message.step, message.tries, len(self.texts[message.step]))
                self._have(message)
            elif kind in ("gap", "channel_reset"):
                self.texts[message.step] = ""
                self._have(message)

    def _have(self, message: Any) -> None:
        assert message.n > self.last[1]
        self.last = (message.attempt, message.n)

    def _take(self, seq: int, kind: str, key: str, data: bytes) -> None:
        self.seq = seq
        text = self.texts.get(key, "")
        if kind == Event.STEP_COMPLETED:
            assert msgspec.json.decode(data)["channels"]["answer"]["text"].startswith(text)
        if kind in (Event.STEP_COMPLETED, Event.STEP_RETRYING):
            self.texts.pop(key, None)


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("emit"), st.sampled_from(STEPS), st.text("xyz", min_size=1, max_size=30)),
        st.tuples(st.just("record"), st.none(), st.none()),
        st.tuples(st.just("complete"), st.sampled_from(STEPS), st.none()),
        st.tuples(st.just("retry"), st.sampled_from(STEPS), st.none()),
        st.tuples(st.just("flush"), st.none(), st.none()),
        st.tuples(st.just("round"), st.none(), st.none()),
        st.tuples(st.just("hear"), st.integers(0, 2), st.none()),
        st.tuples(st.just("give"), st.integers(0, 2), st.integers(1, 400)),
        st.tuples(st.just("reconnect"), st.integers(0, 2), st.integers(0, 300)),
    ),
    max_size=80,
)


class Run:
    def __init__(self) -> None:
        self.owner = Owner()
        self.turn = self.owner.turn()
        self.story = Story()
        self.readers = [Reader(self.owner, self.turn, self.story) for _ in range(3)]
        self.tries = dict.fromkeys(STEPS, 1)
        # Steps whose outcome is not durable yet: they begin again only after that.
        self.open: set[str] = set(STEPS)

    def act(self, action: str, who: Any, what: Any) -> None:
        turn = self.turn
        if action == "emit" and who in self.open:
            self._emit(who, what)
        elif action == "record":
            turn.write(Event.VALUE_RECORDED, uuid.uuid4().hex)
        elif action in ("complete", "retry") and who in self.open and turn.channels is not None:
            self._end(action, who)
        elif action == "flush":
            self.flush()
        elif action == "round":
            self.owner.feeder._feed_all()
        elif action == "hear":
            self.readers[who].hear()
        elif action == "give":
            self.readers[who].give(what)
        elif action == "reconnect":
            self.readers[who].leave()
            self.readers[who].subscribe(what)

    def _emit(self, step: str, text: str) -> None:
        tries = self.tries[step]
        emitted = self.story.emitted.setdefault((step, tries), [])
        emitted.append((self.turn.seq, len(text) + (emitted[-1][1] if emitted else 0)))
        self.owner.emit(self.turn, text, step=step, tries=tries)

    def flush(self) -> None:
        self.story.events += self.turn.events
        self.owner.flush(self.turn)
        self.open = set(STEPS)

    def _end(self, action: str, step: str) -> None:
        assert self.turn.channels is not None
        self.tries[step] += 1
        self.open.discard(step)
        if action == "retry":
            self.turn.channels.clear(step)
            self.turn.write(Event.STEP_RETRYING, step)
        elif filled := self.turn.channels.take(step):
            self.turn.write(Event.STEP_COMPLETED, step, b'{"channels":%b}' % filled)

    def finish(self) -> None:
        """Everybody reads, with all the credit there is."""
        self.flush()
        for reader in self.readers:
            reader.give(1 << 40)
        for _ in range(200):
            self.owner.feeder._feed_all()
            for reader in self.readers:
                reader.hear()

    def texts(self) -> dict[str, str]:
        channels = self.turn.channels
        return {} if channels is None else {each.step: each.text() for each in channels.open()}


async def _run(actions: Sequence[tuple[str, Any, Any]]) -> None:
    run = Run()
    for action in actions:
        run.act(*action)
    run.finish()
    for reader in run.readers:
        assert reader.seq == run.turn.seq
        assert {step: text for step, text in reader.texts.items() if text} == run.texts()


@settings(max_examples=150, deadline=None)
@given(ACTIONS)
def test_everybody_has_everything_in_the_end(actions: list[tuple[str, Any, Any]]) -> None:
    asyncio.run(_run(actions))
