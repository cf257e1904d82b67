"""The storm's own client of the library: what it writes down is enough to find what the library was not told."""

from argosy import AsyncClient
from tests.checker.followed import breaches
from tests.checker.seen import Event, Read
from tests.client.scripted import TURN, Scripted, event, stream
from tests.faults.following import follow

CHANNELS = {"answer": {"text": "Hello!"}}
RECORDED = Read(
    TURN,
    "s",
    "completed",
    (
        Event(1, 1, "turn.started"),
        Event(2, 1, "step.completed", "write", {"channels": CHANNELS}),
        Event(3, 1, "turn.completed"),
    ),
)
STARTED = event("1-1", "turn.started", 1)
SAID = event("1-1.1.1", "frame", 1, step="write", channel="answer", offset=0, text="Hel")
STEP = event("1-2", "step.completed", 2, "write", channels=CHANNELS)
ENDED = event("1-3", "turn.completed", 3)


async def judged(gateway: Scripted) -> list[str]:
    async with AsyncClient(gateway.url) as client:
        return breaches(await follow(client, TURN, lambda _: None), RECORDED)


async def test_a_text_that_is_cut_short_before_the_event_that_records_it_is_found(gateway: Scripted) -> None:
    gateway.will_say(stream(STARTED, SAID, STEP, ENDED))

    (found,) = await judged(gateway)

    assert "W2 text" in found


async def test_who_comes_back_may_be_told_the_rest_by_the_event(gateway: Scripted) -> None:
    gateway.will_say(stream(STARTED, SAID, is_cut=True), stream(STEP, ENDED))

    assert await judged(gateway) == []
