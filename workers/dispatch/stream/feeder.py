"""Send frames: what turns' channels are filled with goes to their watchers, once per coalescing window.

The first change after a quiet time is sent at once; from then on all changes within a window are sent together. What a
watcher has no room for stays in the channel (cut.py), and is cut when the watcher has room.
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
from argosy.workers.dispatch.stream import items
from argosy.workers.dispatch.stream.cut import lost, next_cut
from argosy.workers.dispatch.stream.line import Subscription
from argosy.workers.dispatch.stream.turn_frames import TurnFrames
from argosy.workers.dispatch.stream.watchers import Watchers
from argosy.workers.dispatch.turn import Stop, Turn
from argosy.workflow.channels import Channels

_CHARACTERS_MAX = 16_384  # of one frame of text
_ANY_SEQ = 1 << 60

_count_frames = telemetry.FRAMES.inc


class Feeder:
    """The sender of frames, made on the event loop. coalesce_s: the window; now_us(): microseconds since 1970, by the
    database's clock.
    """

    def __init__(self, watchers: Watchers, clock: Clock, *, coalesce_s: float, now_us: Callable[[], int]) -> None:
        self._watchers = watchers
        self._clock = clock
        self._coalesce_s = coalesce_s
        self._now_us = now_us
        self._loop = asyncio.get_running_loop()
        self._thread_id = threading.get_ident()
        self._frames: WeakKeyDictionary[Channels, TurnFrames] = WeakKeyDictionary()
        # Turns to look at in the next round. Threads add a turn first, and only then look whether a round is scheduled.
        self._stirred: set[Turn] = set()
        self._round: asyncio.TimerHandle | None = None
        self._last_round_s = 0.0
        self.lineage = 0

    def listener_of(self, turn: Turn) -> Callable[[], None] | None:
        """Return what the turn's channels call, in any thread, when they are filled; None: the turn has no watcher."""
        return partial(self.stir, turn) if self._watchers.look_on(turn) else None

    def begin(self, each: Subscription, turn: Turn) -> None:
        """Send a watcher this turn's channels from now on, beginning behind the last frame that it had when it came."""
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
            seen = self._frames_of(channels).seen(n)
            each.seen = lost(channels.open()) if seen is None else seen
        channels.listener = partial(self.stir, turn)
        self.stir(turn)

    def resume(self, each: Subscription) -> None:
        """Go on with a watcher that has room again."""
        if each.turn is not None and each.turn.channels is not None:
            self.stir(each.turn)

    def stir(self, turn: Turn) -> None:
        """Look at a turn in the next round, because something that may be sent has changed. From any thread."""
        self._stirred.add(turn)
        if self._round is not None:
            return
        if threading.get_ident() == self._thread_id:
            self._schedule()
        else:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the worker ends
                self._loop.call_soon_threadsafe(self._schedule)

    def _schedule(self) -> None:
        if self._round is None:
            self._round = self._loop.call_at(self._last_round_s + self._coalesce_s, self._feed_all)

    def _feed_all(self) -> None:
        self._round = None
        self._last_round_s = self._loop.time()
        for _ in range(len(self._stirred)):
            self._feed(self._stirred.pop())

    def _feed(self, turn: Turn) -> None:
        channels = turn.channels
        if channels is None or turn.status is not Status.RUNNING:
            return  # the event that ends or suspends the turn holds the values of its channels
        is_leaving = turn.stop is Stop.HANDOVER
        if turn.is_refused and not is_leaving:
            return
        watchers = self._watchers.of_turn(turn)
        if not watchers:
            channels.listener = None
            return
        frames = self._frames_of(channels)
        opened, durable_seq = channels.open(), turn.durable_seq
        if is_leaving:
            # A step began only once all events before it were durable, so all that it shows may be sent. The workflow's
            # own channels are left out: it fills them again at the next owner.
            opened, durable_seq = [channel for channel in opened if channel.step], _ANY_SEQ
        make = partial(items.of_cut, turn, lineage=self.lineage, at_us=self._now_us())
        for each in watchers:
            if each.is_ending_only:
                continue
            each.follow(turn)
            while each.has_room:
                cut = next_cut(opened, each.seen, durable_seq=durable_seq, characters_max=_CHARACTERS_MAX)
                if cut is None:
                    break
                each.n, made, each.seen = frames.numbered(each.seen, cut, make, above=each.n)
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
