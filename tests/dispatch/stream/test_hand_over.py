"""What a subscriber is told when the partition of its turn changes hands."""

import uuid

import pytest

from argosy.workers.dispatch.elsewhere import HeldTurn
from argosy.workers.dispatch.owned import Owned, Resume
from tests.dispatch.stream.gateway import Gateway
from tests.dispatch.stream.owner import Owner


async def test_who_watches_a_lost_partition_is_told(owner: Owner, gateway: Gateway) -> None:
    turn = owner.turn()
    numbers = [await gateway.subscribe(turn_id=turn.turn_id), await gateway.subscribe(session_id=turn.session_id)]

    owner.lose()
    await gateway.until(lambda: all(gateway.of(each, "moved") for each in numbers))

    assert [each.still_streams for number in numbers for each in gateway.of(number, "moved")] == [False, False]
    assert owner.subscribers.count == 0


@pytest.mark.parametrize("is_refused", [False, True], ids=["in good order", "a flush of it was refused"])
async def test_a_step_that_goes_on_at_the_former_owner_streams_on_without_a_reset(
    owner: Owner, gateway: Gateway, is_refused: bool
) -> None:
    turn = owner.turn()
    number = await gateway.subscribe(turn_id=turn.turn_id)
    session = await gateway.subscribe(session_id=turn.session_id)
    owner.emit(turn, "before ")
    await gateway.until(lambda: gateway.text(number) == "before ")

    turn.is_refused = is_refused
    owner.lose(turn)
    turn.seq += 1  # an outcome of a parallel step that will never be durable from here
    owner.emit(turn, "after ")
    owner.emit(turn, "the workflow's own", step="", tries=0)
    await gateway.until(lambda: gateway.text(number) == gateway.text(session) == "before after ")
    late = await gateway.subscribe(turn_id=turn.turn_id, frames_only=True)
    late_session = await gateway.subscribe(session_id=turn.session_id, frames_only=True)
    await gateway.until(lambda: gateway.text(late) == gateway.text(late_session) == "before after ")
    owner.hub.done(turn)
    watching = (number, session, late, late_session)
    await gateway.until(lambda: all(gateway.kinds(each)[-1] == "moved" for each in watching))

    assert [each.still_streams for each in gateway.of(number, "moved")] == [True, False]
    assert gateway.kinds(number) == ["subscribed", "frame", "moved", "frame", "moved"]
    assert gateway.kinds(late) == ["subscribed", "frame", "moved"]
    assert owner.subscribers.count == 0


async def test_a_partition_that_comes_back_and_goes_again_tears_no_text(owner: Owner, gateway: Gateway) -> None:
    turn = owner.turn()
    first = await gateway.subscribe(turn_id=turn.turn_id)
    owner.emit(turn, "one ")
    await gateway.until(lambda: gateway.text(first) == "one ")
    n = gateway.of(first, "frame")[-1].n
    owner.lose(turn)
    owner.owned[0] = Owned(0, 11, (0, 1023))

    number = await gateway.subscribe(turn_id=turn.turn_id, attempt=1, n=n)
    owner.emit(turn, "two")
    owner.lose()
    await gateway.until(lambda: bool(gateway.of(number, "frame")))

    assert [(each.offset, each.text) for each in gateway.of(number, "frame")] == [(4, b"two")]
    assert [each.still_streams for each in gateway.of(number, "moved")] == [True]


async def test_there_are_no_frames_where_nothing_of_the_turn_runs(owner: Owner, gateway: Gateway) -> None:
    number = await gateway.subscribe(turn_id=owner.turn().turn_id, frames_only=True)

    assert gateway.kinds(number) == ["moved"]
    assert owner.subscribers.count == 0


@pytest.mark.parametrize("comes", ["before it is known", "after"])
async def test_the_new_owner_says_where_a_step_still_runs(owner: Owner, gateway: Gateway, comes: str) -> None:
    turn = owner.turn()
    runner = uuid.uuid4()
    held = {turn.turn_id: HeldTurn(owner.owned[0], f"{runner}/9", 0.0, Resume.MOVED)}
    if comes == "after":
        owner.elsewhere.held |= held

    number = await gateway.subscribe(turn_id=turn.turn_id)
    session = await gateway.subscribe(session_id=turn.session_id)
    other = await gateway.subscribe(turn_id=owner.turn().turn_id)
    if comes != "after":
        owner.elsewhere.held |= held
        owner.hub.opened([owner.owned[0]])
    await gateway.until(lambda: all(gateway.of(each, "at") for each in (number, session)))

    (at,) = gateway.of(number, "at")
    assert (at.turn_id, at.worker_id, at.address) == (turn.turn_id.bytes, runner.bytes, "127.0.0.1:7")
    assert gateway.of(other, "at") == []
