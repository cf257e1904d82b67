"""The numbers of frames, and what a number stands for."""

import zlib

import pytest

from argosy.workers.dispatch.stream.channel_update import ChannelUpdate, Sent, UpdateKind, next_update
from argosy.workers.dispatch.stream.turn_frames import TurnFrames
from tests.dispatch.stream.filled_turn import Turn

ANY = 1 << 60


def test_watchers_that_were_sent_the_same_get_the_same_frame() -> None:
    turn, frames = Turn(), TurnFrames(unix_ms=1000)
    turn.say("text")
    made = []

    for _ in range(3):
        update = next_update(turn.channels.open(), (), durable_seq=ANY, characters_max=100)
        assert update is not None
        made.append(frames.numbered((), update, lambda n, *_: object(), above=0))

    assert made[0] is made[1] is made[2]


def test_only_so_many_numbers_are_remembered() -> None:
    turn, frames = Turn(), TurnFrames(unix_ms=0)
    sent: Sent = ()
    numbers: list[int] = []
    for _ in range(1000):
        turn.say("x")
        update = next_update(turn.channels.open(), sent, durable_seq=ANY, characters_max=100)
        assert update is not None
        n, _, sent = frames.numbered(sent, update, lambda n, *_: None, above=numbers[-1] if numbers else 0)
        numbers.append(n)
        frames.end_round()

    assert numbers == sorted(set(numbers))
    assert frames.sent(numbers[-1]) == sent
    assert frames.sent(numbers[0]) is None


@pytest.mark.parametrize(("had", "is_believed"), [(2_000_000, True), (1 << 60, False)])
def test_numbers_grow_beyond_what_a_watcher_has_unless_it_cannot_be(had: int, is_believed: bool) -> None:
    turn, frames = Turn(), TurnFrames(unix_ms=1000)
    turn.say("text")
    update = next_update(turn.channels.open(), (), durable_seq=ANY, characters_max=100)
    assert update is not None

    n, _, _ = frames.numbered((), update, lambda n, *_: None, above=had)

    assert n == (had + 1 if is_believed else 1_000_001)


def test_a_frame_of_text_says_the_checksum_of_what_is_before_it_wherever_its_watcher_is() -> None:
    turn = Turn()
    turn.say("Grüße, ")
    frames = TurnFrames(0)

    def checksum(characters: int) -> int:
        channel = turn.channels.open()[0]
        update = ChannelUpdate(UpdateKind.TEXT, channel, characters, channel.length)
        return int(frames.numbered((), update, lambda _, __, before: before, above=0)[1])

    for text in ("Welt", "!", "…"):
        turn.say(text)
        for characters in (len("Grüße, "), 2, 0, len("Grüße, Welt")):
            frames.end_round()
            before = "Grüße, Welt!…"[:characters]
            assert checksum(characters) == zlib.crc32(before.encode())
