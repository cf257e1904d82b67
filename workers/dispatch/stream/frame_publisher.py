"""Send frames: what turns' channels are filled with goes to their subscribers, once per coalescing window.

The first change after a quiet time is sent at once; from then on all changes within a window are sent together. What a
subscriber has no room for stays in the channel, and is sent when the subscriber has room (channel_update.py).
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from functools import partial
from weakref import WeakKeyDictionary

from argosy import telemetry
from argosy.clock import Clock
from argosy.rpc.watch_pb2 import Item
from argosy.turn.status import Status
from argosy.workers.dispatch.database_clock import DatabaseClock
from argosy.workers.dispatch.stream import items
from argosy.workers.dispatch.stream.channel_update import next_update, with_gaps
from argosy.workers.dispatch.stream.connection import Subscriber
from argosy.workers.dispatch.stream.subscribers import Subscribers
from argosy.workers.dispatch.stream.turn_frames import TurnFrames
from argosy.workers.dispatch.turn import Stop, Turn
from argosy.workflow.channels import Channels

_CHARACTERS_MAX = 16_384  # of one frame of text
_ANY_SEQ = 1 << 60

_count_frames = telemetry.FRAMES.inc


class FramePublisher:
    """The sender of frames, made on the event loop. coalesce_s: the window; database_clock: whose time frames carry."""

    def __init__(
        self, subscribers: Subscribers, clock: Clock, database_clock: DatabaseClock, *, coalesce_s: float
    ) -> None:
        self.subscribers = subscribers
        self._clock = clock
        self._coalesce_s = coalesce_s
        self._database_clock = database_clock
        self._loop = asyncio.get_running_loop()
        self._thread_id = threading.get_ident()
        self._frames: WeakKeyDictionary[Channels, TurnFrames] = WeakKeyDictionary()
        # Turns to look at in the next round. Threads add a turn first, and only then look whether a round is scheduled.
        self._changed: set[Turn] = set()
        self._round: asyncio.TimerHandle | None = None
        self._last_round_s = 0.0

    def is_followed(self, turn: Turn) -> bool:
        """Whether anybody follows the turn and wants more of it than its end."""
        return self.subscribers.has_follower(turn)

    def listener_of(self, turn: Turn) -> Callable[[], None] | None:
        """Return what the turn's channels call, in any thread, when they are filled; None: nobody follows the turn."""
        return partial(self.mark_changed, turn) if self.subscribers.has_follower(turn) else None

    def begin(self, each: Subscriber, turn: Turn) -> None:
        """Send a subscriber this turn's channels from now on, beginning behind the last frame that its client had."""
        each.turn = None
        each.follow(turn)
        attempt, n = each.resume
        if attempt == turn.attempt:
            each.n = n
        channels = turn.channels
        if channels is None and turn.emitter is not None:
            channels = turn.emitter.look()
        if channels is None:
            return
        if n and attempt == turn.attempt:
            sent = self._frames_of(channels).sent(n)
            each.sent = with_gaps(channels.open()) if sent is None else sent
        channels.listener = partial(self.mark_changed, turn)
        self.mark_changed(turn)

    def resume(self, each: Subscriber) -> None:
        """Go on with a subscriber that has room again."""
        if each.turn is not None and each.turn.channels is not None:
            self.mark_changed(each.turn)

    def mark_changed(self, turn: Turn) -> None:
        """Look at a turn in the next round, because something that may be sent has changed. From any thread."""
        self._changed.add(turn)
        if self._round is not None:
            return
        if threading.get_ident() == self._thread_id:
            self._schedule()
        else:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the worker ends
                self._loop.call_soon_threadsafe(self._schedule)

    def _schedule(self) -> None:
        if self._round is None:
            self._round = self._loop.call_at(self._last_round_s + self._coalesce_s, self.publish_all)

    def publish_all(self) -> None:
        """Send what has changed since the last round, without waiting for the next one."""
        self._round = None
        self._last_round_s = self._loop.time()
        for _ in range(len(self._changed)):
            self._publish(self._changed.pop())

    def _publish(self, turn: Turn) -> None:
        channels = turn.channels
        if channels is None or turn.status is not Status.RUNNING:
            return  # the event that ends or suspends the turn holds the values of its channels
        is_leaving = turn.stop is Stop.HANDOVER
        if turn.is_refused and not is_leaving:
            return
        subscribers = self.subscribers.of_turn(turn)
        if not subscribers:
            channels.listener = None
            return
        frames = self._frames_of(channels)
        opened, durable_seq = channels.open(), turn.durable_seq
        if is_leaving:
            # A step began only once all events before it were durable, so all that it shows may be sent. The workflow's
            # own channels are left out: it fills them again at the next owner.
            opened, durable_seq = [channel for channel in opened if channel.step], _ANY_SEQ
        lineage, at_us = self.subscribers.lineage, int(self._database_clock.now_s() * 1_000_000)
        make = partial(items.of_update, turn, lineage=lineage, at_us=at_us)
        for each in subscribers:
            if each.is_ending_only:
                continue
            each.follow(turn)
            while each.has_room:
                update = next_update(opened, each.sent, durable_seq=durable_seq, characters_max=_CHARACTERS_MAX)
                if update is None:
                    break
                each.n, made, each.sent = frames.numbered(each.sent, update, make, above=each.n)
                each.send(Item(subscription=each.id, **made))
                _count_frames()
            else:
                each.hold_back()
        frames.end_round()

    def _frames_of(self, channels: Channels) -> TurnFrames:
        frames = self._frames.get(channels)
        if frames is None:
            frames = self._frames[channels] = TurnFrames(self._clock.unix_ms())
        return frames
