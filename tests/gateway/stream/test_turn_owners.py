"""Streams whose owner is away, silent, replaced, or hands over."""

import uuid

from tests.gateway.rows import Rows
from tests.gateway.stream.conftest import Gateway, Serve
from tests.gateway.stream.owner import Owner, at, event, frame, moved
from tests.gateway.stream.turns import add_event, path_of, running
from tests.gateway.stream.until import until


async def test_without_an_owner_history_is_read_again_and_again(serve: Serve, rows: Rows) -> None:
    gateway = await serve()
    turn_id = await running(rows)

    async with gateway.read(path_of(turn_id)) as reader:
        await reader.until(1)
        await add_event(rows, turn_id, 2, "turn.completed")
        await reader.until_closed()

    assert reader.seqs == [1, 2]


async def test_a_silent_owner_is_given_up_and_the_new_one_found(gateway: Gateway, owner: Owner, rows: Rows) -> None:
    turn_id = await running(rows)
    async with Owner(b"a secret of the tests, long enough") as other, gateway.read(path_of(turn_id)) as reader:
        await owner.until_asked()
        await reader.until(1)
        owner.is_silent = True
        await other.own(rows.connection)
        asked = await other.until_asked(within_s=6)
        asked.say(event=event(turn_id, 2, "turn.completed"))
        await reader.until_closed()

    assert reader.seqs == [1, 2]


async def test_an_owner_that_moved_is_left_and_a_step_that_goes_on_there_is_still_heard(
    gateway: Gateway, owner: Owner, rows: Rows
) -> None:
    turn_id = await running(rows)
    done = b'{"result":1,"attempts":1,"channels":{"answer":{"text":"one two"}}}'
    async with Owner(b"a secret of the tests, long enough") as other, gateway.read(path_of(turn_id)) as reader:
        first = await owner.until_asked()
        first.say(frame=frame(turn_id, 1, 100, 0, "one"))
        await other.own(rows.connection)
        owner.refuses = True
        first.say(moved=moved(turn_id, still_streams=True))
        second = await other.until_asked()
        second.say(at=at(turn_id, owner))
        first.say(frame=frame(turn_id, 1, 101, 3, " two"))
        await reader.until(3)
        first.say(moved=moved(turn_id))
        second.say(event=event(turn_id, 2, "step.completed", "write", done))
        second.say(event=event(turn_id, 3, "turn.completed"))
        await reader.until_closed()

    assert not any(asked.request.frames_only for asked in owner.asked)
    assert reader.types == ["turn.started", "frame", "frame", "step.completed", "turn.completed"]


async def test_a_client_that_comes_during_a_handover_hears_both_owners(
    gateway: Gateway, owner: Owner, rows: Rows
) -> None:
    turn_id = await running(rows)
    async with Owner(b"a secret of the tests, long enough") as former, gateway.read(path_of(turn_id)) as reader:
        asked = await owner.until_asked()
        asked.say(at=at(turn_id, former))
        at_former = await former.until_asked()
        at_former.say(frame=frame(turn_id, 1, 100, 0, "still here"))
        await reader.until(2)

    assert at_former.request.frames_only
    assert reader.text() == "still here"


async def test_another_worker_at_the_address_is_not_taken_for_the_owner(
    gateway: Gateway, owner: Owner, rows: Rows
) -> None:
    turn_id = await running(rows)
    await rows.connection.execute("UPDATE partitions SET owner = $1", uuid.uuid4())
    await gateway.state.catalog.refresh()
    async with gateway.read(path_of(turn_id)) as reader:
        await reader.until(1)
        await until(lambda: owner.calls > 0)
        assert owner.asked == []
        await owner.own(rows.connection)
        asked = await owner.until_asked()
        asked.say(event=event(turn_id, 2, "turn.completed"))
        await reader.until_closed()

    assert reader.seqs == [1, 2]
