"""Many gateways with little credit and slow streams, against what two turns really did: nothing is missed, nothing is
told twice or too early, and in the end everybody has every value.
"""

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any

import jsonpatch
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.turn.events import Event
from argosy.workers.dispatch.stream.connection import GatewayConnection
from argosy.workers.dispatch.stream.hub import SubscribeRequest
from argosy.workflow.channels import WORKFLOW
from tests.dispatch.stream.gateway import TENANT
from tests.dispatch.stream.owner import Owner
from tests.dispatch.stream.running import STEPS, Running, decode

TURNS = range(2)
QUEUE_SIZE_BYTES = 300


class Reader:
    """What a gateway makes of one subscription: puts together what it is told, and reads the events when it must.

    values: of the open channels, by step.
    """

    def __init__(self, running: Running) -> None:
        self._running = running
        self.last = (0, 0)
        self.seq = 0
        self.values: dict[str, Any] = {}
        # The newest try of each step that has ended, and the newest event that holds the workflow's own value: frames
        # from before are late.
        self._over = dict.fromkeys(STEPS, 0)
        self._kept = 0

    @property
    def turn_id(self) -> uuid.UUID:
        return self._running.turn.turn_id

    def read(self) -> None:
        for event in self._running.events[self.seq :]:
            self._take(event.seq, event.type, event.key, event.data)

    def receive(self, kind: str, message: Any) -> None:
        if kind == "event" and message.seq > self.seq:
            assert message.seq == self.seq + 1
            self._take(message.seq, message.type, message.key, message.data)
        elif kind == "look":
            self.read()
        elif kind in ("frame", "gap", "channel_reset"):
            assert message.n > self.last[1]
            self.last = (message.attempt, message.n)
            assert message.seq <= self.seq
            is_late = message.tries <= self._over[message.step] if message.step else message.seq < self._kept
            if is_late:
                return  # it was read ahead of
            if kind == "frame":
                self._fill(message)
            else:
                self.values.pop(message.step, None)

    def _fill(self, message: Any) -> None:
        step, running = message.step, self._running
        if step:
            text = self.values.get(step, "")
            assert message.offset == len(text)
            text = self.values[step] = text + message.text.decode()
            assert running.text_may_be_told(step, message.tries, len(text))
        elif message.patch:
            self.values[step] = jsonpatch.apply_patch(self.values[step], decode(message.patch))
        else:
            self.values[step] = decode(message.json)
        if not step:
            numbers = self.values[step]
            assert numbers == list(range(numbers[0], numbers[-1] + 1))
            assert running.number_may_be_told(numbers[-1])

    def _take(self, seq: int, kind: str, key: str, data: bytes) -> None:
        self.seq = seq
        if kind == Event.STEP_COMPLETED:
            assert decode(data)["channels"]["answer"]["text"].startswith(self.values.get(key, ""))
        if kind in (Event.STEP_COMPLETED, Event.STEP_RETRYING):
            self.values.pop(key, None)
            self._over[key] += 1
        elif kind == Event.TURN_SUSPENDED and (held := decode(data).get("channels")):
            self.values[WORKFLOW], self._kept = held["state"]["json"], seq


class Gateway:
    """One connection, and on it a subscription to each turn."""

    def __init__(self, owner: Owner, runs: list[Running]) -> None:
        self._owner = owner
        self.readers = [Reader(running) for running in runs]
        self._connection = GatewayConnection(QUEUE_SIZE_BYTES)
        self.connect(200)

    def connect(self, credit_bytes: int) -> None:
        """Anew, with the last frames that it has; then what is durable by now is read."""
        self._owner.hub.close(self._connection)
        self._connection = GatewayConnection(QUEUE_SIZE_BYTES)
        for number, reader in enumerate(self.readers):
            request = SubscribeRequest(
                number, reader.turn_id, False, TENANT, 0, reader.last, False, False, credit_bytes
            )
            self._owner.hub.subscribe(self._connection, request)
            reader.read()

    def give(self, number: int, size_bytes: int) -> None:
        self._owner.hub.give_credit(self._connection.subscribers[number], size_bytes)

    def receive(self) -> None:
        """Take one message from the connection."""
        was_full = self._connection.is_full
        items = self._connection.take()
        if was_full and not self._connection.is_full:
            self._owner.hub.drained(self._connection)
        for item in items:
            kind = item.WhichOneof("what")
            self.readers[item.subscription].receive(kind, getattr(item, kind))


TURN, STEP, GATEWAY = st.sampled_from(TURNS), st.sampled_from(STEPS), st.integers(0, 2)
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("emit"), TURN, STEP, st.text("xyz", min_size=1, max_size=30)),
        st.tuples(st.just("show"), TURN, st.booleans()),
        st.tuples(st.just("record"), TURN),
        st.tuples(st.just("end"), TURN, STEP, st.booleans()),
        st.tuples(st.just("flush"), TURN),
        st.tuples(st.just("suspend"), TURN),
        st.tuples(st.just("round")),
        st.tuples(st.just("receive"), GATEWAY),
        st.tuples(st.just("give"), GATEWAY, TURN, st.integers(1, 400)),
        st.tuples(st.just("connect"), GATEWAY, st.integers(0, 300)),
    ),
    max_size=80,
)


class World:
    def __init__(self) -> None:
        self.owner = Owner()
        self.runs = [Running(self.owner, str(number)) for number in TURNS]
        self.gateways = [Gateway(self.owner, self.runs) for _ in range(3)]

    def act(self, action: str, *what: Any) -> None:
        match action, *what:
            case "emit", turn, step, text:
                self.runs[turn].emit(step, text)
            case "show", turn, is_patch:
                self.runs[turn].show(is_patch=is_patch)
            case "record", turn:
                self.runs[turn].record()
            case "end", turn, step, is_retry:
                self.runs[turn].end(step, is_retry=is_retry)
            case "flush", turn:
                self.runs[turn].flush()
            case "suspend", turn:
                self.runs[turn].suspend_and_resume()
            case ("round",):
                self.owner.frame_publisher.publish_all()
            case "receive", gateway:
                self.gateways[gateway].receive()
            case "give", gateway, turn, size_bytes:
                self.gateways[gateway].give(turn, size_bytes)
            case "connect", gateway, credit_bytes:
                self.gateways[gateway].connect(credit_bytes)

    def finish(self) -> None:
        """Everybody reads, with all the credit there is."""
        for running in self.runs:
            running.flush()
        for gateway in self.gateways:
            for number in TURNS:
                gateway.give(number, 1 << 40)
        for _ in range(100):
            self.owner.frame_publisher.publish_all()
            for gateway in self.gateways:
                gateway.receive()


async def _run(actions: Sequence[tuple[Any, ...]]) -> None:
    world = World()
    for action in actions:
        world.act(*action)
    world.finish()
    for gateway in world.gateways:
        for reader, running in zip(gateway.readers, world.runs, strict=True):
            assert reader.seq == running.turn.seq
            assert reader.values == running.values()


@settings(max_examples=150, deadline=None)
@given(ACTIONS)
def test_everybody_has_everything_in_the_end(actions: list[tuple[Any, ...]]) -> None:
    asyncio.run(_run(actions))
