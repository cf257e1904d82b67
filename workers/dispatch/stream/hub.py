"""Send subscribers what happens to the turns that they follow. On the event loop; nothing here waits.

Rules:
- A subscriber is sent only turns of its tenant, whatever it asks for.
- A subscription belongs to the claim under which it was taken. When the claim is lost, the subscriber is told so
  (MOVED), and the subscription ends. If a step of its turn still runs here, it ends only with that step, whose frames
  the subscriber gets till then.
- Durable events are sent right after the flush that wrote them. Without room one LOOK stands for all of them.
- While there is no subscriber, every call here returns at once, and the dispatcher does not tell of flushes. It says
  their lineage all the same (Subscribers.lineage), which frames have: somebody may follow before the next one.
"""

import uuid
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

from argosy import ids, telemetry
from argosy.config import Settings
from argosy.rpc.watch_pb2 import Item, Refused
from argosy.store.numbered_stream import Answer
from argosy.turn.events import RESTS, STEP_ENDS, Event
from argosy.workers.dispatch.claims import Claims
from argosy.workers.dispatch.elsewhere import Elsewhere, HeldTurn
from argosy.workers.dispatch.flush.flush_entry import FlushEntry
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.ownership.changes import Loss
from argosy.workers.dispatch.ownership.handover import in_flight
from argosy.workers.dispatch.ownership.known_workers import KnownWorkers
from argosy.workers.dispatch.scheduling.scheduler import Scheduler
from argosy.workers.dispatch.stream import items
from argosy.workers.dispatch.stream.channel_update import Sent, whole, without_step
from argosy.workers.dispatch.stream.connection import GatewayConnection, Subscriber
from argosy.workers.dispatch.stream.frame_publisher import FramePublisher
from argosy.workers.dispatch.stream.subscribers import Subscribers
from argosy.workers.dispatch.turn import Turn

_EVENT_SIZE_BYTES_MAX = 262_144  # a larger one is read from Postgres, by those who want it: the queue is all clients'


class SubscribeRequest(NamedTuple):
    """What a gateway asks for; see Subscribe in proto/argosy/rpc/watch.proto. target: the id of a turn or session;
    None: the request has no valid one. tenant: whose it has to be. resume: (attempt, n) of the last frame.
    """

    id: int
    target: uuid.UUID | None
    is_session: bool
    tenant: str
    epoch: int
    resume: tuple[int, int]
    is_ending_only: bool
    frames_only: bool
    credit_bytes: int


class Hub:
    """All subscribers of this worker."""

    def __init__(
        self,
        subscribers: Subscribers,
        frame_publisher: FramePublisher,
        claims: Claims,
        fleet: KnownWorkers,
        scheduler: Scheduler,
        elsewhere: Elsewhere,
        settings: Settings,
    ) -> None:
        self.subscribers = subscribers
        self._frame_publisher = frame_publisher
        self._claims = claims
        self._fleet = fleet
        self._scheduler = scheduler
        self._elsewhere = elsewhere
        self._subscriptions_max = settings.watch_subscriptions_max
        self._item = partial(items.event, result_size_bytes_max=settings.event_result_size_bytes_max)
        # Turns that were handed over, and of which a step still runs here.
        self._leaving: dict[uuid.UUID, Turn] = {}

    # What gateways ask

    def subscribe(self, connection: GatewayConnection, request: SubscribeRequest) -> None:
        """Answer SUBSCRIBED or REFUSED (MOVED, when only frames are asked for and there are none). After SUBSCRIBED the
        subscriber misses nothing durable.
        """
        target = request.target
        if target is None or request.id in connection.subscribers:
            connection.send(items.refused(request.id, Refused.UNKNOWN))
        elif self.subscribers.count >= self._subscriptions_max:
            connection.send(items.refused(request.id, Refused.TOO_MANY))
        else:
            each = Subscriber(
                request.id,
                connection,
                target=target,
                tenant=request.tenant,
                is_session=request.is_session,
                is_ending_only=request.is_ending_only,
                credit_bytes=request.credit_bytes,
                resume=request.resume,
            )
            if request.frames_only:
                self._begin_frames(each)
            else:
                self._begin(each, target, request)

    def _begin(self, each: Subscriber, target: uuid.UUID, request: SubscribeRequest) -> None:
        bucket = ids.bucket_of(target) if each.is_session else ids.turn_bucket(target)
        owned = self._claims.of(bucket)
        if owned is None or owned.is_void or request.epoch > owned.epoch:
            each.connection.send(items.refused(each.id, Refused.NOT_OWNER))
            return
        turn = self._scheduler.head_of(target) if each.is_session else self._scheduler.live.get(target)
        if turn is not None and turn.tenant != each.tenant:
            each.connection.send(items.refused(each.id, Refused.UNKNOWN))
            return
        each.owned = owned
        self.subscribers.add(each)
        each.send(items.subscribed(each.id, owned.epoch))
        if held := self._elsewhere.held:
            self._send_runners(each, held)
        if turn is not None and not each.is_ending_only:
            self._frame_publisher.begin(each, turn)

    def _begin_frames(self, each: Subscriber) -> None:
        turn = self._leaving_of(each)
        if turn is None:
            each.send(items.moved(each.id, None, still_streams=False))
            return
        self.subscribers.add(each)
        each.send(items.subscribed(each.id, 0))
        self._frame_publisher.begin(each, turn)

    def unsubscribe(self, each: Subscriber) -> None:
        self.subscribers.remove(each)

    def close(self, connection: GatewayConnection) -> None:
        """Remove all subscribers of a connection whose stream is over."""
        for each in list(connection.subscribers.values()):
            self.subscribers.remove(each)

    def give_credit(self, each: Subscriber, size_bytes: int) -> None:
        had_room = each.has_room
        each.credit_bytes += size_bytes
        if not had_room:
            self._serve(each)

    def drained(self, connection: GatewayConnection) -> None:
        """Serve the subscribers that wait for room on this connection, which has room again."""
        held_back, connection.held_back = connection.held_back, set()
        for each in held_back:
            self._serve(each)

    def _serve(self, each: Subscriber) -> None:
        """Send a subscriber what was left out, if there is room for it now. There is none when its credit came while
        the connection is full, or when other subscribers have filled the connection again.
        """
        if not each.has_room:
            each.hold_back()
            return
        if each.pending_look is not None:
            owed, each.pending_look = each.pending_look, None
            each.send(items.look(each.id, owed))
        self._frame_publisher.resume(each)

    # What the worker says

    def written(self, answer: Answer, entries: Iterable[FlushEntry]) -> None:
        """Tell subscribers of the events of a flush that is durable now. Need not be called while there is none."""
        at_us = 0
        for entry in entries:
            turn = entry.turn
            if self.subscribers.has(turn.turn_id, turn.session_id):
                at_us = at_us or items.us_of(answer.at)
                subscribers = [each for each in self.subscribers.of_turn(turn) if each.owned is not None]
                for event in entry.events:
                    self._send_event(subscribers, turn, event.type, self._item(turn, event, answer.lineage, at_us))
                if turn.channels is not None:
                    self._frame_publisher.mark_changed(turn)

    def look(self, turn_id: uuid.UUID, session_id: uuid.UUID | None = None) -> None:
        """Send a LOOK for a turn to which something durable happened that no entry of a flush told."""
        if self.subscribers.count:
            for each in self.subscribers.of(turn_id, session_id):
                self._send_look(each, turn_id)

    def gone(self, losses: Iterable[Loss]) -> None:
        """Tell the subscribers of partitions that are not ours any more."""
        void = set()
        for loss in losses:
            void.add(loss.owned)
            self._leaving.update({turn.turn_id: turn for turn in loss.turns if in_flight(turn)})
        if not self.subscribers.count:
            return
        for each in self.subscribers.all():
            if each.owned in void:
                turn = self._leaving_of(each)
                each.owned = None
                each.send(items.moved(each.id, None if turn is None else turn.turn_id, still_streams=turn is not None))
                if turn is None:
                    self.subscribers.remove(each)
                elif each.turn is not turn:  # a step of the turn still runs here, under an earlier claim
                    self._frame_publisher.begin(each, turn)

    def done(self, turn: Turn) -> None:
        """End the frames of a turn that was handed over: nothing of it runs here any more."""
        if self._leaving.get(turn.turn_id) is not turn:
            return
        del self._leaving[turn.turn_id]
        for each in self.subscribers.of_turn(turn):
            if each.owned is None:
                each.send(items.moved(each.id, turn.turn_id, still_streams=False))
                self.subscribers.remove(each)

    def opened(self, opened: Iterable[Owned]) -> None:
        """Tell subscribers which turns of these partitions still have a step at a former owner: that is known now."""
        if not self.subscribers.count:
            return
        held = {turn_id: each for turn_id, each in self._elsewhere.held.items() if each.owned in opened}
        if held:
            for each in self.subscribers.all():
                self._send_runners(each, held)

    # Inside

    def _leaving_of(self, each: Subscriber) -> Turn | None:
        if not self._leaving:
            return None
        if not each.is_session:
            turn = self._leaving.get(each.target)
            return turn if turn is not None and turn.tenant == each.tenant else None
        of_session = (turn for turn in self._leaving.values() if turn.session_id == each.target)
        return next((turn for turn in of_session if turn.tenant == each.tenant), None)

    def _send_event(self, subscribers: list[Subscriber], turn: Turn, kind: Event, message: Any) -> None:
        is_too_large = len(message.data) > _EVENT_SIZE_BYTES_MAX
        for each in subscribers:
            if each.turn is turn:
                each.sent = _sent_after(each.sent, turn, kind, message.key)
            if each.is_ending_only and kind not in RESTS:
                continue
            if each.has_room and not is_too_large:
                each.send(Item(subscription=each.id, event=message))
            else:
                self._send_look(each, turn.turn_id)

    def _send_look(self, each: Subscriber, turn_id: uuid.UUID) -> None:
        """Send a LOOK. Without room it waits, and stands for all that is left out until there is room. A subscriber
        that wants the ending alone gets it at once.
        """
        telemetry.WATCH_LOOKS.inc()
        if each.has_room or each.is_ending_only:
            each.send(items.look(each.id, turn_id))
        else:
            each.pending_look = turn_id
            each.hold_back()

    def _send_runners(self, each: Subscriber, held: Mapping[uuid.UUID, HeldTurn]) -> None:
        """Tell a subscriber at which workers steps of its turns still run.

        The session of a held turn was not read yet, so a subscriber to a session is told of all held turns in its
        bucket.
        """
        if each.is_ending_only or each.owned is None:
            return
        if each.is_session:
            bucket = ids.bucket_of(each.target)
            turn_ids = [turn_id for turn_id in held if ids.turn_bucket(turn_id) == bucket]
        else:
            turn_ids = [each.target] if each.target in held else []
        for turn_id in turn_ids:
            runner_id = held[turn_id].runner_id
            if address := self._fleet.address_of(runner_id):
                each.send(items.at(each.id, turn_id, runner_id, address))


def _sent_after(sent: Sent, turn: Turn, kind: Event, key: str) -> Sent:
    """Return what a subscriber has of a turn's channels once it is told this event, which holds the values of some."""
    if kind in STEP_ENDS:
        return without_step(sent, key)
    if kind is Event.TURN_SUSPENDED and turn.channels is not None:
        return whole(turn.channels.open())
    return sent
