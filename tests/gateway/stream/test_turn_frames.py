"""What a client is told of text as it comes: frames, gaps, tries and attempts."""

from tests.gateway.rows import Rows
from tests.gateway.stream.conftest import Gateway
from tests.gateway.stream.owner import Owner, event, frame, gap, reset
from tests.gateway.stream.turns import add_event, path_of, running


async def test_frames_have_ids_from_which_the_owner_goes_on(gateway: Gateway, owner: Owner, rows: Rows) -> None:
    turn_id = await running(rows)
    async with gateway.read(path_of(turn_id)) as reader:
        asked = await owner.until_asked()
        asked.say(frame=frame(turn_id, 1, 100, 0, "Hel"))
        asked.say(frame=frame(turn_id, 1, 101, 3, "lo"))
        told = await reader.until(3)

    async with gateway.read(path_of(turn_id), last=told[-1].id) as again:
        resumed = await owner.until_asked(2)
        resumed.say(frame=frame(turn_id, 1, 102, 5, "!"))
        await again.until(1)

    assert told[-1].id == "1-1.1.101"
    assert told[-1].data == {"attempt": 1, "n": 101, "step": "write", "channel": "answer", "offset": 3, "text": "lo"}
    assert (resumed.request.attempt, resumed.request.n) == (1, 101)
    assert again.types == ["frame"]
    assert again.messages[0].data["text"] == "!"


async def test_the_event_that_ends_a_step_completes_its_text(gateway: Gateway, owner: Owner, rows: Rows) -> None:
    turn_id = await running(rows)
    done = b'{"result":1,"attempts":1,"channels":{"answer":{"text":"Hello!"}}}'
    async with gateway.read(path_of(turn_id)) as reader:
        asked = await owner.until_asked()
        asked.say(frame=frame(turn_id, 1, 100, 0, "Hel"))
        asked.say(event=event(turn_id, 2, "step.completed", "write", done))
        asked.say(frame=frame(turn_id, 1, 101, 3, "lo"))
        asked.say(event=event(turn_id, 3, "turn.completed"))
        await reader.until_closed()

    assert reader.types == ["turn.started", "frame", "frame", "step.completed", "turn.completed"]
    assert reader.text() == "Hello!"
    assert (reader.messages[2].data["n"], reader.messages[2].id) == (0, "1-1.1.100")


async def test_a_client_that_comes_back_after_a_step_ended_has_a_gap_and_the_whole(
    gateway: Gateway, owner: Owner, rows: Rows
) -> None:
    done = {"result": 1, "attempts": 1, "channels": {"answer": {"text": "Hello!"}}}
    turn_id = await running(rows, ("step.completed", "write", done))

    async with gateway.read(path_of(turn_id), last="1-1.1.100") as reader:
        await reader.until(3)

    assert reader.types == ["gap", "frame", "step.completed"]
    assert reader.text() == "Hello!"


async def test_a_try_that_failed_is_announced_and_its_late_frames_are_not_told(
    gateway: Gateway, owner: Owner, rows: Rows
) -> None:
    turn_id = await running(rows)
    failed = b'{"type":"E","message":"m","attempts":1,"delay_s":1}'
    async with gateway.read(path_of(turn_id)) as reader:
        asked = await owner.until_asked()
        asked.say(frame=frame(turn_id, 1, 100, 0, "bad"))
        asked.say(event=event(turn_id, 2, "step.retrying", "write", failed))
        asked.say(frame=frame(turn_id, 1, 101, 3, " luck"))
        asked.say(channel_reset=reset(turn_id, 2, 102, tries=2))
        asked.say(frame=frame(turn_id, 2, 103, 0, "good", tries=2))
        await reader.until(5)

    assert reader.types == ["turn.started", "frame", "step.retrying", "channel.reset", "frame"]
    assert reader.text() == "good"


async def test_an_attempt_that_is_over_says_nothing_more(gateway: Gateway, owner: Owner, rows: Rows) -> None:
    turn_id = await running(rows)
    async with gateway.read(path_of(turn_id)) as reader:
        asked = await owner.until_asked()
        asked.say(frame=frame(turn_id, 1, 100, 0, "lost"))
        asked.say(event=event(turn_id, 2, "turn.reset", data=b'{"from_seq":1}', attempt=2))
        asked.say(frame=frame(turn_id, 1, 101, 4, " too"))
        asked.say(frame=frame(turn_id, 2, 1, 0, "kept", attempt=2))
        await reader.until(4)

    assert reader.types == ["turn.started", "frame", "turn.reset", "frame"]
    assert reader.messages[-1].id == "1-2.2.1"


async def test_a_frame_waits_for_the_event_that_it_follows(gateway: Gateway, owner: Owner, rows: Rows) -> None:
    turn_id = await running(rows)
    async with gateway.read(path_of(turn_id)) as reader:
        asked = await owner.until_asked()
        await add_event(rows, turn_id, 2, "value.recorded", "k", {"value": 1})
        asked.say(frame=frame(turn_id, 2, 100, 0, "after"))
        await reader.until(3)

    assert reader.types == ["turn.started", "value.recorded", "frame"]


async def test_a_gap_is_told_and_healed(gateway: Gateway, owner: Owner, rows: Rows) -> None:
    turn_id = await running(rows)
    async with gateway.read(path_of(turn_id)) as reader:
        asked = await owner.until_asked()
        asked.say(frame=frame(turn_id, 1, 100, 0, "one"))
        asked.say(gap=gap(turn_id, 1, 101))
        asked.say(frame=frame(turn_id, 1, 102, 0, "one two three"))
        await reader.until(4)

    assert reader.types == ["turn.started", "frame", "gap", "frame"]
    assert reader.text() == "one two three"
