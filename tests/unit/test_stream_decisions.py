"""What a stream decides, as tables: ids, continuity, channels, and bytes on the wire."""

import json
import uuid
import zlib
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.gateway.stream.channel_view import ChannelItem, ChannelMessage, ChannelView
from argosy.gateway.stream.continuity import Continuity, Judgement, LastEvent, compare, judge_event, judge_frame
from argosy.gateway.stream.event_id import ANY_LINEAGE, EventId, parse, parse_from
from argosy.gateway.stream.message import Message, Part
from argosy.gateway.stream.place_cipher import PlaceCipher
from argosy.gateway.stream.sse import NDJSON, SSE, format_of
from argosy.turn.events import Event, WireEvent

PLACES: Final = PlaceCipher(bytes(32), uuid.UUID(int=1))


@pytest.mark.parametrize(
    ("text", "has_place", "expected"),
    [
        ("7-12", False, EventId(7, 12)),
        ("7-12.3.1795262954920001", False, EventId(7, 12, 3, 1795262954920001)),
        ("44:7-12", True, EventId(7, 12, place=44)),
        ("44:7-12.3.9", True, EventId(7, 12, 3, 9, 44)),
        ("0:0-0", True, EventId(0, 0)),
    ],
)
def test_an_id_is_read_as_it_was_written(text: str, has_place: bool, expected: EventId) -> None:
    assert parse(text, PLACES if has_place else None) == expected


@given(place=st.integers(1, 2**63 - 1), frame=st.booleans())
def test_an_id_of_a_session_comes_back_as_it_was_given_out(place: int, frame: bool) -> None:
    given_out = EventId(7, 12, 3 if frame else 0, 9 if frame else 0, place)

    text = given_out.text(PLACES.seal(place))

    assert parse(text, PLACES) == given_out
    assert str(place) not in text.partition(":")[0][1:] or place < 10_000  # digits may stand there by chance
    with pytest.raises(ValueError, match="not given out by a stream of this session"):
        parse(text, PlaceCipher(bytes(32), uuid.UUID(int=2)))
    with pytest.raises(ValueError, match="not given out by a stream of this session"):
        parse(text, PlaceCipher(b"k" * 32, uuid.UUID(int=1)))


def test_places_one_after_the_other_look_like_any_others() -> None:
    seals = [PLACES.seal(place) for place in range(1_000, 1_200)]

    assert len(set(seals)) == 200
    assert seals != sorted(seals)
    assert len({seal[1:3] for seal in seals}) > 100


@pytest.mark.parametrize(
    ("text", "has_place"),
    [
        ("", False), ("7", False), ("7-", False), ("-7", False), ("7-12.3", False), ("7-12.3.", False),
        ("7-12 ", False), ("7-12\n", False), ("44:7-12", False), ("7-12", True), (":7-12", True),
        ("\u0667-\u0661", False),
        ("7-9999999999", False), ("9223372036854775808-1", False), ("7-1.9999999999.1", False),
        ("7-1.1.99999999999999999", False), ("a-1", False), ("7-1" * 50, False),
    ],
)  # fmt: skip
def test_what_no_stream_gave_out_is_refused(text: str, has_place: bool) -> None:
    with pytest.raises(ValueError, match="id"):
        parse(text, PLACES if has_place else None)


def test_a_stream_may_begin_after_a_number() -> None:
    assert parse_from("12") == EventId(ANY_LINEAGE, 12)
    assert parse_from("7-12") == EventId(7, 12)


LAST = LastEvent(lineage=2, seq=5, attempt=1, checked=2)


@pytest.mark.parametrize(
    ("last", "lineage", "seq", "expected"),
    [
        (LAST, 2, 6, Judgement.SEND),
        (LAST, 2, 5, Judgement.DROP),
        (LAST, 2, 1, Judgement.DROP),
        (LAST, 2, 7, Judgement.READ),
        (LAST, 1, 6, Judgement.DROP),  # of an owner of a history that was given up
        (LAST, 3, 6, Judgement.READ),  # history may have forked: is the fifth still the fifth?
        (LAST, 3, 4, Judgement.READ),
        (LAST._replace(checked=3), 3, 6, Judgement.SEND),
        (LAST._replace(checked=3), 3, 4, Judgement.DROP),
        (LastEvent(0, 0, 0, 0), 2, 1, Judgement.SEND),
        (LastEvent(0, 0, 0, 0), 2, 2, Judgement.READ),
    ],
)
def test_what_is_done_with_an_event(last: LastEvent, lineage: int, seq: int, expected: Judgement) -> None:
    assert judge_event(last, lineage, seq) is expected


@pytest.mark.parametrize(
    ("lineage", "seq", "attempt", "expected"),
    [
        (2, 5, 1, Judgement.SEND),
        (2, 3, 1, Judgement.SEND),
        (2, 6, 1, Judgement.READ),
        (3, 5, 1, Judgement.READ),
        (1, 5, 1, Judgement.SEND),  # of a former owner: its step goes on
        (2, 5, 0, Judgement.DROP),
        (2, 5, 2, Judgement.DROP),
    ],
)
def test_what_is_done_with_a_frame(lineage: int, seq: int, attempt: int, expected: Judgement) -> None:
    assert judge_frame(LAST, lineage, seq, attempt) is expected


@pytest.mark.parametrize(
    ("last", "first", "expected"),
    [
        (LAST, (2, 5), Continuity.UNBROKEN),
        (LAST, (3, 5), Continuity.FORKED),
        (LAST, (1, 5), Continuity.FORKED),
        (LAST, None, Continuity.FORKED),
        (LAST, (2, 8), Continuity.FORGOTTEN),
        (LastEvent(ANY_LINEAGE, 5, 0, 0), (3, 5), Continuity.UNBROKEN),
        (LastEvent(0, 0, 0, 0), None, Continuity.UNBROKEN),
        (LastEvent(0, 0, 0, 0), (1, 1), Continuity.UNBROKEN),
        (LastEvent(0, 0, 0, 0), (1, 4), Continuity.FORGOTTEN),
    ],
)
def test_whether_history_is_the_one_that_the_client_knows(
    last: LastEvent, first: tuple[int, int] | None, expected: Continuity
) -> None:
    assert compare(last, first, ANY_LINEAGE) is expected


def text(offset: int, said: str, tries: int = 1, step: str = "w", behind: str = "") -> ChannelItem:
    """behind: what the owner has before it, where the client was told that by another gateway."""
    return ChannelItem(WireEvent.FRAME, step, tries, "answer", Part(offset, said), checksum=zlib.crc32(behind.encode()))


def done(said: str) -> bytes:
    return json.dumps({"result": 1, "attempts": 1, "channels": {"answer": {"text": said}}}).encode()


def frame(offset: int, said: str, step: str = "w") -> ChannelMessage:
    return ChannelMessage(WireEvent.FRAME, step, "answer", Part(offset, said))


RESET = ChannelMessage(WireEvent.CHANNEL_RESET, "w", "answer")
GAP = ChannelMessage(WireEvent.GAP, "w", "answer")


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([text(0, "ab"), text(2, "cd")], [frame(0, "ab"), frame(2, "cd")]),
        ([text(0, "ab"), text(0, "ab")], [frame(0, "ab")]),
        ([text(0, "ab"), text(1, "bcd")], [frame(0, "ab"), frame(2, "cd")]),
        ([text(0, "ab"), text(0, "x", tries=2)], [frame(0, "ab"), RESET, frame(0, "x")]),
        ([text(0, "ab", tries=2), text(2, "cd")], [frame(0, "ab")]),
        (
            [text(0, "ab"), ChannelItem(WireEvent.CHANNEL_RESET, "w", 2, "answer", Part()), text(0, "x", tries=2)],
            [frame(0, "ab"), RESET, frame(0, "x")],
        ),
        (
            [text(0, "ab"), ChannelItem(WireEvent.GAP, "w", 1, "answer", Part()), text(0, "abcd")],
            [frame(0, "ab"), GAP, frame(0, "abcd")],
        ),
    ],
)
def test_what_is_sent_of_what_is_received_of_a_channel(
    items: list[ChannelItem], expected: list[ChannelMessage]
) -> None:
    view = ChannelView()
    assert [message for each in items for message in view.receive(each)] == expected


@pytest.mark.parametrize(
    ("resumed", "items", "whole", "expected"),
    [
        (0, [text(0, "ab")], "abcd", [frame(2, "cd")]),
        (0, [text(0, "ab")], "ab", []),
        (0, [], "abcd", []),  # the event itself tells it
        (0, [text(0, "ab"), text(4, "ef")], "abcdef", [GAP, frame(0, "abcdef")]),
        (1, [], "abcd", [GAP, frame(0, "abcd")]),
        (1, [text(2, "c", behind="ab")], "abcd", [frame(3, "d")]),
        (1, [text(2, "cd", behind="xy")], "abcd", [RESET, frame(0, "abcd")]),  # another run's outcome, as long
        (2, [], "abcd", []),  # it came back with a frame of another attempt
    ],
)
def test_what_is_told_before_the_event_that_ends_a_step(
    resumed: int, items: list[ChannelItem], whole: str, expected: list[ChannelMessage]
) -> None:
    view = ChannelView(resumed)
    for each in items:
        view.receive(each)

    assert view.before(Event.STEP_COMPLETED, "w", done(whole), 1, 9) == expected
    assert view.receive(text(len(whole), "late")) == []


@pytest.mark.parametrize("whole", ["xy", "xyz", "x"])
def test_an_outcome_that_is_not_what_was_told_is_told_anew(whole: str) -> None:
    view = ChannelView()
    view.receive(text(0, "a"))
    view.receive(text(1, "b"))

    assert view.before(Event.STEP_COMPLETED, "w", done(whole), 1, 9) == [RESET, frame(0, whole)]


def test_a_step_that_is_tried_again_begins_with_nothing() -> None:
    view = ChannelView()
    view.receive(text(0, "ab"))
    failed = b'{"type":"E","message":"m","attempts":1,"delay_s":0}'

    assert view.before(Event.STEP_RETRYING, "w", failed, 1, 9) == []
    assert view.after(Event.STEP_RETRYING, "w") == [RESET]
    assert view.receive(text(2, "late")) == []
    assert view.receive(text(0, "cd", tries=2)) == [frame(0, "cd")]


def test_who_comes_back_between_a_retry_and_its_text_is_told_of_the_reset_first() -> None:
    view = ChannelView(is_back=True)

    assert view.receive(text(0, "cd", tries=2)) == [RESET, frame(0, "cd")]
    assert view.receive(text(2, "ef", tries=2)) == [frame(2, "ef")]
    assert view.receive(text(0, "first", step="other")) == [frame(0, "first", step="other")]


def test_who_comes_back_with_a_frame_of_the_try_before_is_told_of_the_reset_and_with_one_of_this_try_is_not() -> None:
    assert ChannelView(1, is_back=True).receive(text(0, "cd", tries=2)) == [RESET, frame(0, "cd")]
    assert ChannelView(1, is_back=True).receive(text(2, "ef", tries=2)) == [frame(2, "ef")]


def test_who_comes_back_has_the_rest_of_what_the_workflow_said_from_the_event_that_holds_it() -> None:
    view = ChannelView(is_back=True)

    assert view.before(Event.TURN_COMPLETED, "", done("abc"), 1, 9) == [
        GAP._replace(step=""),
        frame(0, "abc", step=""),
    ]


def test_a_workflows_channel_goes_on_where_a_suspend_left_it() -> None:
    view = ChannelView()
    view.receive(text(0, "ab", tries=0, step=""))

    assert view.before(Event.TURN_SUSPENDED, "", done("abc"), 1, 9) == [frame(2, "c", step="")]
    assert view.receive(text(0, "abcd", tries=0, step="")) == [frame(3, "d", step="")]


def change(seq: int, step: str = "") -> ChannelItem:
    return ChannelItem(WireEvent.FRAME, step, 0, "answer", Part(patch=b'[{"op":"add","path":"/-","value":1}]'), seq)


def test_a_change_of_a_workflows_channel_that_an_event_holds_is_not_told_after_it() -> None:
    view = ChannelView()
    first = view.receive(change(1))
    view.before(Event.TURN_SUSPENDED, "", b'{"channels":{"answer":{"json":[1]}}}', 1, 3)

    assert len(first) == 1
    assert view.receive(change(2)) == []
    assert view.receive(change(2)._replace(type=WireEvent.GAP, part=Part())) == []
    assert len(view.receive(change(3))) == 1
    assert len(view.receive(change(2)._replace(channel="other"))) == 1


@pytest.mark.parametrize("data", [b'{"result":1}', b'{"result":1,"channels":{"other":{"json":1}}}'])
def test_what_a_step_said_and_its_outcome_does_not_have_is_emptied(data: bytes) -> None:
    view = ChannelView()
    view.receive(text(0, "of another attempt"))
    view.receive(text(0, "goes on", step="beside"))

    assert view.before(Event.STEP_COMPLETED, "w", data, 1, 9) == [RESET]
    assert view.before(Event.STEP_COMPLETED, "v", b"{}", 1, 10) == []
    assert view.receive(text(0, "late")) == []


def test_another_attempt_begins_with_nothing() -> None:
    view = ChannelView()
    view.receive(text(0, "ab"))
    view.after(Event.TURN_RESET, "")

    assert view.receive(text(0, "x")) == [frame(0, "x")]


def test_every_line_of_ndjson_is_an_object_heartbeats_or_not() -> None:
    told = NDJSON.encode([Message("turn.started", "1-1", b'{"a":1}')])
    body = NDJSON.heartbeat + told + NDJSON.heartbeat * 2 + told

    assert [json.loads(line) for line in body.splitlines()] == [{"id": "1-1", "a": 1}] * 2


def test_messages_are_one_line_each_whatever_is_in_them() -> None:
    message = Message("step.completed", "1-2", b'{"a":\r\n1}')
    without = Message("frame", "", b'{"b":"\\n"}')

    assert SSE.encode([message, without]) == (
        b'event: step.completed\nid: 1-2\ndata: {"a":  1}\n\nevent: frame\ndata: {"b":"\\n"}\n\n'
    )
    assert [json.loads(line) for line in NDJSON.encode([message, without]).splitlines()] == [
        {"id": "1-2", "a": 1},
        {"b": "\n"},
    ]


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("text/event-stream", SSE),
        ("text/event-stream, */*", SSE),
        ("application/x-ndjson", NDJSON),
        ("application/ndjson;q=0.5, text/event-stream;q=0.9", SSE),
        ("application/json, text/event-stream", None),
        ("text/event-stream;q=0", None),
        ("*/*", None),
        ("", None),
        ("text/event-stream;q=x", None),
    ],
)
def test_the_client_says_what_it_wants(accept: str, expected: object) -> None:
    assert format_of(accept) is expected
