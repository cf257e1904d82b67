"""What a subscriber is told of a turn: frames and events in order, within its credit."""

import asyncio
import uuid

import pytest

from argosy.turn.events import Event
from argosy.turn.status import Status
from tests.dispatch.stream.gateway import Gateway
from tests.dispatch.stream.owner import Owner


async def test_frames_follow_the_event_they_follow_and_end_with_the_step(owner: Owner, gateway: Gateway) -> None:
    turn = owner.turn()
    number = await gateway.subscribe(turn_id=turn.turn_id)

    turn.write(Event.TURN_STARTED)
    owner.emit(turn, "early ")
    owner.frame_publisher.publish_all()
    assert gateway.of(number, "frame") == []
    owner.flush(turn)
    await gateway.until(lambda: gateway.text(number) == "early ")
    owner.emit(turn, "late")
    await gateway.until(lambda: gateway.text(number) == "early late")
    assert turn.channels is not None
    turn.channels.take("write")
    owner.write(turn, Event.STEP_COMPLETED, "write", b'{"channels":{"answer":{"text":"early late"}}}')
    await gateway.until(lambda: len(gateway.of(number, "event")) == 2)

    assert gateway.kinds(number) == ["subscribed", "event", "frame", "frame", "event"]
    first, second = gateway.of(number, "frame")
    assert (first.seq, first.attempt, first.step, first.tries, first.lineage) == (1, 1, "write", 1, 77)
    assert (first.offset, second.offset) == (0, 6)
    assert first.n < second.n < 1 << 53


async def test_a_text_waits_in_its_middle_for_the_event_that_it_follows(owner: Owner, gateway: Gateway) -> None:
    turn = owner.turn()
    number = await gateway.subscribe(turn_id=turn.turn_id)

    owner.emit(turn, "before ")
    turn.write(Event.VALUE_RECORDED, "k")
    owner.emit(turn, "after")
    owner.frame_publisher.publish_all()
    await gateway.until(lambda: bool(gateway.text(number)))
    assert gateway.text(number) == "before "
    owner.flush(turn)
    await gateway.until(lambda: gateway.text(number) == "before after")

    assert gateway.kinds(number) == ["subscribed", "frame", "event", "frame"]


async def test_what_is_emitted_within_the_window_goes_together(owner: Owner, gateway: Gateway) -> None:
    turn = owner.turn()
    number = await gateway.subscribe(turn_id=turn.turn_id)

    for _ in range(1000):
        owner.emit(turn, "token ")
    await gateway.until(lambda: gateway.text(number) == "token " * 1000)

    assert len(gateway.of(number, "frame")) <= 2


async def test_who_comes_late_is_sent_the_value_so_far(owner: Owner, gateway: Gateway) -> None:
    turn = owner.turn()
    owner.emit(turn, "before ")

    number = await gateway.subscribe(turn_id=turn.turn_id)
    await gateway.until(lambda: gateway.text(number) == "before ")
    owner.emit(turn, "after")
    await gateway.until(lambda: gateway.text(number) == "before after")

    assert gateway.kinds(number) == ["subscribed", "frame", "frame"]


async def test_who_comes_back_goes_on_where_it_was(owner: Owner, gateway: Gateway) -> None:
    turn = owner.turn()
    first = await gateway.subscribe(turn_id=turn.turn_id)
    owner.emit(turn, "one ")
    await gateway.until(lambda: gateway.text(first) == "one ")
    n = gateway.of(first, "frame")[-1].n
    await gateway.send(unsubscribe=[first])
    owner.emit(turn, "two")

    known = await gateway.subscribe(turn_id=turn.turn_id, attempt=1, n=n)
    unknown = await gateway.subscribe(turn_id=turn.turn_id, attempt=1, n=n - 100)
    another = await gateway.subscribe(turn_id=turn.turn_id, attempt=2, n=n)
    await gateway.until(lambda: all(gateway.of(each, "frame") for each in (known, unknown, another)))

    assert [(each.offset, each.text) for each in gateway.of(known, "frame")] == [(4, b"two")]
    assert gateway.kinds(unknown) == ["subscribed", "gap", "frame"]
    assert gateway.text(unknown) == "one two"
    assert gateway.kinds(another) == ["subscribed", "frame"]


async def test_a_retry_is_told_before_its_text(owner: Owner, gateway: Gateway) -> None:
    turn = owner.turn()
    number = await gateway.subscribe(turn_id=turn.turn_id)
    owner.emit(turn, "wrong")
    await gateway.until(lambda: gateway.text(number) == "wrong")

    assert turn.channels is not None
    turn.channels.clear("write")
    owner.write(turn, Event.STEP_RETRYING, "write")
    owner.emit(turn, "right", tries=2)
    await gateway.until(lambda: gateway.text(number) == "right")

    assert gateway.kinds(number) == ["subscribed", "frame", "event", "channel_reset", "frame"]
    assert gateway.of(number, "channel_reset")[0].tries == 2


async def test_without_credit_frames_wait_and_events_become_one_look(owner: Owner, gateway: Gateway) -> None:
    gateway.is_generous = False
    turn = owner.turn()
    number = await gateway.subscribe(turn_id=turn.turn_id, credit_bytes=1)

    for word in ("a", "b", "c"):
        owner.emit(turn, word)
        owner.write(turn)
    another = await gateway.subscribe(turn_id=turn.turn_id)
    await gateway.until(lambda: gateway.text(another) == "abc")
    assert gateway.kinds(number) == ["subscribed"]
    await gateway.give(number, 1000)
    await gateway.until(lambda: gateway.text(number) == "abc")
    owner.write(turn)
    await gateway.until(lambda: bool(gateway.of(number, "event")))

    assert gateway.kinds(number) == ["subscribed", "look", "frame", "event"]


async def test_credit_is_overdrawn_by_one_item_at_the_most(owner: Owner, gateway: Gateway) -> None:
    gateway.is_generous = False
    turn = owner.turn()
    number = await gateway.subscribe(turn_id=turn.turn_id, credit_bytes=1000)

    for _ in range(100):
        owner.write(turn, data=b'"%b"' % (b"x" * 300))
    last = await gateway.subscribe(turn_id=turn.turn_id)

    sent = sum(each.ByteSize() for each in gateway.of(number))
    (mine,) = [each for each in owner.subscribers.all() if each.id == number]
    assert 1000 <= sent < 1400
    assert mine.credit_bytes == 1000 - sent
    assert gateway.kinds(last) == ["subscribed"]


async def test_an_event_that_is_too_large_is_to_be_looked_up(owner: Owner, gateway: Gateway) -> None:
    turn = owner.turn()
    number = await gateway.subscribe(turn_id=turn.turn_id)

    owner.write(turn, data=b'"%b"' % (b"x" * 300_000))
    owner.write(turn)
    await gateway.until(lambda: bool(gateway.of(number, "event")))

    assert gateway.kinds(number) == ["subscribed", "look", "event"]


@pytest.mark.parametrize("ending", [Event.TURN_COMPLETED, Event.TURN_PARKED])
async def test_who_waits_for_the_end_hears_nothing_else(owner: Owner, gateway: Gateway, ending: Event) -> None:
    turn = owner.turn()
    number = await gateway.subscribe(turn_id=turn.turn_id, ending_only=True)
    poor = await gateway.subscribe(turn_id=turn.turn_id, ending_only=True, credit_bytes=0)

    owner.emit(turn, "text")
    owner.write(turn, Event.TURN_SUSPENDED)
    owner.frame_publisher.publish_all()
    owner.write(turn, ending)
    await gateway.until(lambda: bool(gateway.of(number, "event")) and bool(gateway.of(poor, "look")))

    assert [event.type for event in gateway.of(number, "event")] == [ending.value]
    assert gateway.kinds(poor) == ["subscribed", "look"]


async def test_a_session_is_told_of_its_turns_one_after_the_other(owner: Owner, gateway: Gateway) -> None:
    first, second, other = owner.turn(), owner.turn(), owner.turn("another session")
    second.place = 8
    number = await gateway.subscribe(session_id=first.session_id)

    for turn in (other, first, second):
        owner.emit(turn, "said in " + str(turn.place))
        owner.frame_publisher.publish_all()
        turn.status = Status.COMPLETED
        owner.write(turn, Event.TURN_COMPLETED)
    await gateway.until(lambda: len(gateway.of(number, "event")) == 2)

    told = [(each.place, each.turn_id) for each in gateway.of(number, "event", "frame")]
    assert told == [(7, first.turn_id.bytes)] * 2 + [(8, second.turn_id.bytes)] * 2
    assert [each.offset for each in gateway.of(number, "frame")] == [0, 0]


async def test_nothing_is_told_after_the_event_that_holds_it(owner: Owner, gateway: Gateway) -> None:
    turn = owner.turn()
    number = await gateway.subscribe(turn_id=turn.turn_id)
    owner.emit(turn, "text")
    turn.status = Status.COMPLETED

    owner.write(turn, Event.TURN_COMPLETED)
    owner.frame_publisher.publish_all()
    await gateway.until(lambda: bool(gateway.of(number, "event")))

    assert gateway.of(number, "frame") == []


async def test_what_no_flush_tells_is_to_be_looked_up(owner: Owner, gateway: Gateway) -> None:
    turn = owner.turn()
    number = await gateway.subscribe(turn_id=turn.turn_id)
    session = await gateway.subscribe(session_id=turn.session_id)

    owner.hub.look(turn.turn_id)
    owner.hub.look(uuid.uuid4(), turn.session_id)
    await gateway.until(lambda: bool(gateway.of(number, "look")) and bool(gateway.of(session, "look")))

    assert [each.turn_id for each in gateway.of(number, "look")] == [turn.turn_id.bytes]


async def test_what_threads_emit_arrives_whole(owner: Owner, gateway: Gateway) -> None:
    turn = owner.turn()
    number = await gateway.subscribe(turn_id=turn.turn_id)

    def fill(name: str) -> None:
        for count in range(2000):
            owner.emit(turn, f"{count} ", name=name)

    owner.emit(turn, "the first one makes the channels")
    await asyncio.gather(*(asyncio.to_thread(fill, name) for name in "abcd"))
    whole = "".join(f"{count} " for count in range(2000))
    await gateway.until(lambda: all(gateway.text(number, name) == whole for name in "abcd"))
