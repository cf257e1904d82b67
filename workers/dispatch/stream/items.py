"""Make the messages that gateways are sent."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from argosy.rpc.watch_pb2 import (
    At,
    ChannelReset,
    Event,
    Frame,
    Gap,
    Item,
    Look,
    Moved,
    Refused,
    Subscribed,
)
from argosy.turn.ended import with_result
from argosy.turn.events import Event as Written
from argosy.workers.dispatch.stream.channel_update import ChannelUpdate, UpdateKind
from argosy.workers.dispatch.turn import Turn
from argosy.workers.dispatch.writes import EventWrite

_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_OF_KIND: Final = {
    UpdateKind.TEXT: (Frame, "frame"),
    UpdateKind.JSON: (Frame, "frame"),
    UpdateKind.PATCH: (Frame, "frame"),
    UpdateKind.RESET: (ChannelReset, "channel_reset"),
    UpdateKind.GAP: (Gap, "gap"),
}


def us_of(at: datetime) -> int:
    """Return microseconds since 1970, exactly as Postgres keeps them."""
    return (at - _EPOCH) // _MICROSECOND


def event(turn: Turn, each: EventWrite, lineage: int, at_us: int, result_size_bytes_max: int) -> Any:
    data = each.data
    if each.type is Written.TURN_COMPLETED and turn.result is not None:
        size_bytes = len(turn.result)
        data = with_result(data, turn.turn_id, turn.result, size_bytes, size_bytes_max=result_size_bytes_max)
    return Event(
        turn_id=turn.turn_id.bytes,
        place=turn.place,
        lineage=lineage,
        seq=each.seq,
        attempt=each.attempt,
        type=each.type.value,
        key=each.key,
        data=data,
        at_us=at_us,
    )


def of_update(turn: Turn, n: int, update: ChannelUpdate, checksum: int, *, lineage: int, at_us: int) -> dict[str, Any]:
    """Make the fields of an Item but for its subscription. checksum: of the channel's text before the update."""
    kind, field = _OF_KIND[update.kind]
    channel = update.channel
    message = kind(
        turn_id=turn.turn_id.bytes,
        place=turn.place,
        lineage=lineage,
        seq=turn.durable_seq,
        attempt=turn.attempt,
        n=n,
        step=channel.step,
        tries=channel.tries,
        channel=channel.name,
        at_us=at_us,
    )
    if update.kind is UpdateKind.TEXT:
        message.offset = update.begin
        message.checksum = checksum
        message.text = channel.text(update.begin, update.end).encode()
    elif update.kind is UpdateKind.JSON:
        message.json = update.value
    elif update.kind is UpdateKind.PATCH:
        message.patch = update.value
    return {field: message}


def subscribed(subscription: int, epoch: int) -> Any:
    return Item(subscription=subscription, subscribed=Subscribed(epoch=epoch))


def refused(subscription: int, reason: Any) -> Any:
    return Item(subscription=subscription, refused=Refused(reason=reason))


def look(subscription: int, turn_id: uuid.UUID) -> Any:
    return Item(subscription=subscription, look=Look(turn_id=turn_id.bytes))


def moved(subscription: int, turn_id: uuid.UUID | None, *, still_streams: bool) -> Any:
    id_bytes = b"" if turn_id is None else turn_id.bytes
    return Item(subscription=subscription, moved=Moved(turn_id=id_bytes, still_streams=still_streams))


def at(subscription: int, turn_id: uuid.UUID, worker_id: uuid.UUID, address: str) -> Any:
    return Item(subscription=subscription, at=At(turn_id=turn_id.bytes, worker_id=worker_id.bytes, address=address))
