"""One turn as one client is told it, by chance: whatever is received late, twice, in part or not at all."""

import random
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from argosy.gateway.stream.continuity import Continuity
from argosy.gateway.stream.event_id import BEGIN, parse
from argosy.gateway.stream.message import Message
from argosy.gateway.stream.turn_cursor import TurnCursor
from argosy.rpc.watch_pb2 import ChannelReset, Event, Frame, Gap, Item, Look
from argosy.store.turn import EventRow
from tests.unit.assembled_text import BEGUN_ANEW, Received, decoded, text_of

TURN = uuid.uuid4()
NOW = datetime.now(UTC)


class Truth:
    """A turn at its owner: two steps that run beside each other, each with a channel; now and then one is tried again,
    or the turn begins another attempt.
    """

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.rows: list[EventRow] = []
        self.attempt = 1
        self.n = 1000
        self.text = {"a": "", "b": ""}
        self.tries = {"a": 1, "b": 1}
        self.whole: dict[str, str] = {}
        self._write("turn.started")

    def _write(self, type_: str, key: str = "", data: str = "{}") -> None:
        self.rows.append(EventRow(len(self.rows) + 1, self.attempt, type_, key, NOW, data.encode(), 1))

    @property
    def is_over(self) -> bool:
        return self.rows[-1].type == "turn.completed"

    def go_on(self) -> None:
        """Something happens. A channel that was completed is over."""
        open_ = [step for step in self.text if step not in self.whole]
        if not open_:
            self._write("turn.completed")
            return
        step, what = self.chance.choice(open_), self.chance.random()
        if what < 0.75:
            self.text[step] += self.chance.choice(["x", "yz", "é€", "𝄞 "])
        elif what < 0.85:
            self.whole[step] = self.text[step]
            channels = f',"channels":{{"answer":{{"text":"{self.text[step]}"}}}}' if self.text[step] else ""
            self._write("step.completed", step, f'{{"result":1,"attempts":{self.tries[step]}{channels}}}')
        elif what < 0.92:
            self._write(
                "step.retrying", step, f'{{"type":"E","message":"m","attempts":{self.tries[step]},"delay_s":0}}'
            )
            self.tries[step] += 1
            self.text[step] = ""
        elif what < 0.95:
            self.attempt += 1
            self._write("turn.reset", "", '{"from_seq":1}')
            for step_ in open_:
                self.text[step_], self.tries[step_] = "", 1


class Publisher:
    """What the owner tells one subscriber, and what it has been sent; it leaves things out when there is no room."""

    def __init__(self, truth: Truth, resume: Any = None) -> None:
        self.truth = truth
        self.items: list[Any] = []
        self.seq = len(truth.rows)
        self.attempt = truth.attempt
        self.sent: dict[str, tuple[int, int]] = dict(resume) if resume else {}
        self.sent_of: dict[int, dict[str, tuple[int, int]]] = {}

    def say(self, **what: Any) -> None:
        self.items.append(Item(subscription=1, **what))

    def go_on(self) -> None:
        """One round: events first, some of them as a Look; then what channels have more."""
        truth = self.truth
        if self.attempt != truth.attempt:
            self.attempt, self.sent = truth.attempt, {}
        new = truth.rows[self.seq :]
        self.seq = len(truth.rows)
        for row in new:
            if row.type == "step.completed":
                self.sent.pop(row.key, None)
        if new and truth.chance.random() < 0.3:
            self.say(look=Look(turn_id=TURN.bytes))
        else:
            for row in new:
                self.say(event=Event(turn_id=TURN.bytes, lineage=1, seq=row.seq, attempt=row.attempt, type=row.type,
                                     key=row.key, data=row.data, at_us=1))  # fmt: skip
        for step, text in truth.text.items():
            if step in truth.whole or truth.chance.random() < 0.3:
                continue
            self._fill(step, text)

    def _fill(self, step: str, text: str) -> None:
        truth = self.truth
        tries, length = self.sent.get(step, (truth.tries[step], 0))
        if tries != truth.tries[step] and text:
            truth.n += 1
            self.sent[step], length = (truth.tries[step], 0), 0
            self.sent_of[truth.n] = dict(self.sent)
            self.say(channel_reset=ChannelReset(turn_id=TURN.bytes, lineage=1, seq=self.seq, attempt=truth.attempt,
                                                n=truth.n, step=step, tries=truth.tries[step], channel="answer",
                                                at_us=1))  # fmt: skip
        if len(text) > length and tries == truth.tries[step]:
            truth.n += 1
            self.sent[step] = (truth.tries[step], len(text))
            self.sent_of[truth.n] = dict(self.sent)
            self.say(frame=Frame(turn_id=TURN.bytes, lineage=1, seq=self.seq, attempt=truth.attempt, n=truth.n,
                                 step=step, tries=truth.tries[step], channel="answer", offset=length,
                                 text=text[length:].encode(), at_us=1))  # fmt: skip


class Client:
    """Follows the turn over many connections, with only the last id in its hands."""

    def __init__(self, truth: Truth) -> None:
        self.truth = truth
        self.messages: list[Received] = []
        self.sent_of: dict[int, dict[str, tuple[int, int]]] = {}
        self.connect()

    def connect(self) -> None:
        last = next((each.id for each in reversed(self.messages) if each.id), "")
        after = parse(last) if last else BEGIN
        self.cursor = TurnCursor(TURN, after)
        if not after.n:
            self.messages.append(Received(BEGUN_ANEW, "", 0, "", {}))
        self.read()
        self.subscribe(after.attempt, after.n)

    def subscribe(self, attempt: int, n: int) -> None:
        truth = self.truth
        known = self.sent_of.get(n) if n and attempt == truth.attempt else None
        self.publisher = Publisher(truth, known)
        self.publisher.sent_of = self.sent_of
        if n and attempt == truth.attempt and known is None:
            for step, text in truth.text.items():
                if text and step not in truth.whole:
                    truth.n += 1
                    given = {"lineage": 1, "seq": len(truth.rows), "attempt": truth.attempt, "n": truth.n, "at_us": 1}
                    tries = truth.tries[step]
                    self.publisher.say(gap=Gap(turn_id=TURN.bytes, step=step, channel="answer", tries=tries, **given))
        self.read()

    def take(self, messages: list[Message]) -> None:
        self.messages += [decoded(each) for each in messages]

    def read(self) -> None:
        rows = [row for row in self.truth.rows if row.seq >= self.cursor.seq]
        assert self.cursor.check(rows[0] if rows else None) is Continuity.UNBROKEN
        for row in rows:
            if row.seq > self.cursor.seq:
                self.take(self.cursor.advance(row))

    def receive(self, count: int) -> None:
        for _ in range(min(count, len(self.publisher.items))):
            item = self.publisher.items.pop(0)
            messages = self.cursor.receive(item, has_read=False)
            if messages is None:
                self.read()
                messages = self.cursor.receive(item, has_read=True)
            self.take(messages or [])


@pytest.mark.parametrize("seed", range(150))
def test_a_client_has_every_event_once_and_every_text_whole(seed: int) -> None:
    chance = random.Random(seed)
    truth = Truth(chance)
    client = Client(truth)

    for _ in range(10_000):
        if truth.is_over:
            break
        what = chance.random()
        if what < 0.55:
            truth.go_on()
        elif what < 0.8:
            client.publisher.go_on()
        elif what < 0.95:
            client.receive(chance.randint(1, 5))
        elif what < 0.97:
            client.read()
        elif what < 0.99:
            if chance.random() < 0.3:
                client.sent_of.clear()  # another process, or it remembers no more
            client.connect()
        else:
            client.subscribe(*client.cursor.resume)
    client.publisher.go_on()
    client.receive(1_000)
    client.read()

    assert client.cursor.is_over
    assert [each.seq for each in client.messages if each.is_durable] == [row.seq for row in truth.rows]
    for step, whole in truth.whole.items():
        assert text_of(client.messages, step) == (whole, [])
