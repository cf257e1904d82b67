"""What the console makes of events and frames, told to its modules in the browser."""

from typing import Any

import pytest

from tests.console.browser import Console

T0 = "2026-11-21T12:00:"


def event(seq: int, type_: str, at_s: float, key: str = "", attempt: int = 1, **data: Any) -> dict[str, Any]:
    return {"seq": seq, "type": type_, "key": key, "attempt": attempt, "at": f"{T0}{at_s:06.3f}Z", "data": data}


def frame(n: int, offset: int, text: str, step: str = "write") -> dict[str, Any]:
    return {"type": "frame", "attempt": 1, "n": n, "channel": "answer", "step": step, "offset": offset, "text": text}


BEGUN = [event(1, "turn.started", 0)]
CLEARED = {"type": "channel.reset", "attempt": 1, "n": 9, "channel": "answer", "step": "write"}
GAP = {"type": "gap", "attempt": 1, "n": 9, "channel": "answer", "step": "write"}
DONE = event(2, "step.completed", 1, "write", result=1, attempts=1, channels={"answer": {"text": "Hello, world"}})

MODEL = """
    const model = new it.TurnModel();
    for (const message of given[0]) model.take(message);
    const begin = Date.parse("2026-11-21T12:00:00Z");
    const rows = [...model.rows.values()].map(({ key, kind, status, tries, spans }) => ({
        key, kind, status, tries, spans: spans.map(({ from, to, kind }) => [kind, from - begin, to && to - begin]),
    }));
    const channels = [...model.channels.values()].map(({ step, name, text, value, isOpen }) => (
        { step, name, text, value, isOpen }));
    return { rows, channels, status: model.status, attempt: model.attempt, seq: model.seq,
             resets: model.resets.length, periods: model.periods.map(({ kind }) => kind) };
"""


@pytest.fixture
def told(console: Console) -> Any:
    """What a model is after these messages."""
    console.open_quietly()

    def tell(*messages: dict[str, Any]) -> dict[str, Any]:
        model: dict[str, Any] = console.module("turn_model", MODEL, list(messages))
        return model

    return tell


def said(model: dict[str, Any]) -> str | None:
    (channel,) = model["channels"]
    text: str | None = channel["text"]
    return text


def test_tries_and_the_pauses_between_them_are_one_line(told: Any) -> None:
    model = told(
        *BEGUN,
        event(2, "step.retrying", 1, "charge", type="E", message="no", attempts=1, delay_s=0.5),
        event(3, "wait.started", 1, "charge~1", kind="retry", timeout_s=0.5),
        event(4, "turn.suspended", 1),
        event(5, "wait.completed", 1.5, "charge~1"),
        event(6, "turn.resumed", 1.5),
        event(7, "step.completed", 2, "charge", result=1, attempts=2),
        event(8, "turn.completed", 2),
    )

    (row,) = model["rows"]
    assert row["spans"] == [["failed", 0, 1000], ["backoff", 1000, 1500], ["completed", 1500, 2000]]
    assert (row["status"], row["tries"]) == ("completed", 2)
    assert model["periods"] == ["running", "suspended", "running"]


def test_what_was_in_flight_when_a_worker_was_lost_is_shown_as_lost(told: Any) -> None:
    model = told(
        *BEGUN,
        event(2, "step.completed", 1, "a", result=1, attempts=1),
        frame(1, 0, "half an ans"),
        event(3, "turn.reset", 3, attempt=2, from_seq=3),
        event(4, "step.completed", 4, "write", attempt=2, result=1, attempts=1, channels={"answer": {"text": "whole"}}),
    )

    rows = {row["key"]: row["spans"] for row in model["rows"]}
    assert rows["in flight"] == [["lost", 1000, 3000]]
    assert rows["write"] == [["completed", 3000, 4000]]
    assert (model["attempt"], model["resets"], said(model)) == (2, 1, "whole")


def test_a_step_that_was_known_to_be_in_flight_is_the_one_that_was_lost(told: Any) -> None:
    model = told(
        *BEGUN, event(2, "step.intended", 1, "wire"), event(3, "turn.reset", 3, attempt=2, from_seq=3),
        event(4, "turn.parked", 3, attempt=2, reason="uncertain_effect"),
    )  # fmt: skip

    assert [(row["key"], row["spans"]) for row in model["rows"]] == [("wire", [["lost", 1000, 3000]])]


def test_what_the_code_gave_up_is_over(told: Any) -> None:
    model = told(
        *BEGUN,
        event(2, "wait.started", 0, "signal:stop", kind="signal", name="stop"),
        frame(1, 0, "half an ans"),
        event(3, "step.cancelled", 1, "write"),
        event(4, "wait.cancelled", 2, "signal:stop"),
        event(5, "turn.cancelling", 3, until="2026-11-21T12:00:30Z"),
    )

    rows = {row["key"]: (row["status"], row["spans"]) for row in model["rows"]}
    assert rows["write"] == ("cancelled", [["cancelled", 0, 1000]])
    assert rows["signal:stop"] == ("cancelled", [["wait", 0, 2000]])
    assert [channel["isOpen"] for channel in model["channels"]] == [False]
    assert model["status"] == "running"


def test_the_end_closes_what_was_open(told: Any) -> None:
    model = told(
        *BEGUN, event(2, "wait.started", 1, "signal:go", kind="signal", name="go"), event(3, "turn.suspended", 1),
        event(4, "turn.cancelled", 9),
    )  # fmt: skip

    assert model["rows"][0]["spans"] == [["wait", 1000, 9000]]
    assert model["status"] == "cancelled"


@pytest.mark.parametrize(
    ("what", "messages", "expected"),
    [
        ("it grows", [frame(1, 0, "Hello, "), frame(2, 7, "world")], "Hello, world"),
        ("offsets count characters", [frame(1, 0, "\N{SAILBOAT}x"), frame(2, 2, "y")], "\N{SAILBOAT}xy"),
        ("what comes again is not doubled", [frame(1, 0, "Hello, "), frame(2, 7, "w"), frame(3, 7, "wo")], "Hello, wo"),
        ("after a gap the whole comes", [frame(1, 0, "Hel"), GAP, frame(9, 7, "x"), frame(10, 0, "Hello")], "Hello"),
        ("what is missing is not skipped", [frame(1, 0, "Hel"), frame(3, 7, "world")], "Hel"),
        ("a retry begins again", [frame(1, 0, "wrong"), CLEARED, frame(2, 0, "right")], "right"),
        ("the event has the whole", [frame(1, 0, "Hel"), DONE], "Hello, world"),
        ("who comes late sees the whole", [DONE], "Hello, world"),
        ("a reset throws away", [frame(1, 0, "half"), event(2, "turn.reset", 2, attempt=2, from_seq=2)], ""),
    ],
)
def test_the_text_of_a_channel(told: Any, what: str, messages: list[dict[str, Any]], expected: str) -> None:
    assert said(told(*BEGUN, *messages)) == expected, what


SUSPENDED = event(2, "turn.suspended", 1, channels={"answer": {"text": "abc"}})
RESUMED = event(3, "turn.resumed", 2)
RESET = event(4, "turn.reset", 3, attempt=2, from_seq=3)


@pytest.mark.parametrize(
    ("what", "messages", "expected"),
    [
        ("the reset voids what came after it", [frame(2, 3, "half", ""), RESET], "abc"),
        ("the next suspend need not say it again", [RESET, event(5, "turn.suspended", 4, attempt=2)], "abc"),
        ("what is said next goes on from it", [RESET, frame(9, 3, "de", "")], "abcde"),
        (
            "a parked turn may be resumed",
            [event(4, "turn.parked", 3, "wire", channels={"answer": {"text": "ab"}})],
            "ab",
        ),
    ],
)
def test_what_a_workflow_said_and_a_suspend_recorded_stays(
    told: Any, what: str, messages: list[dict[str, Any]], expected: str
) -> None:
    model = told(*BEGUN, frame(1, 0, "abc", ""), SUSPENDED, RESUMED, *messages)

    assert (said(model), model["channels"][0]["isOpen"]) == (expected, True), what


def test_a_database_that_went_back_takes_the_story_back(told: Any) -> None:
    model = told(
        *BEGUN,
        event(2, "step.completed", 1, "a", result=1, attempts=1),
        event(3, "turn.completed", 2),
        {"type": "resync", "from_seq": 1},
        event(2, "step.completed", 5, "b", result=1, attempts=1),
    )

    assert [row["key"] for row in model["rows"]] == ["b"]
    assert (model["seq"], model["status"]) == (2, "running")


def test_a_snapshot_stands_for_what_is_kept_no_longer(told: Any) -> None:
    step = {"key": "a", "status": "completed", "attempts": 2, "result": 1, "error": None}
    model = told(
        *BEGUN,
        frame(1, 0, "before"),
        {"type": "snapshot", "seq": 7, "turn": {"status": "running", "attempt": 2, "steps": [step]}},
        event(7, "step.completed", 4, "told before", attempt=2, result=1, attempts=1),
        event(8, "step.completed", 5, "b", attempt=2, result=1, attempts=1),
    )

    assert [(row["key"], row["status"], row["tries"]) for row in model["rows"]] == [
        ("a", "completed", 2), ("b", "completed", 1),
    ]  # fmt: skip
    assert (model["status"], model["attempt"], model["seq"], model["channels"]) == ("running", 2, 8, [])


def test_a_private_step_is_shown_as_no_more_than_that(told: Any) -> None:
    model = told(*BEGUN, event(2, "step.private", 1), event(3, "step.private", 2))

    assert [(row["key"], row["kind"], len(row["spans"])) for row in model["rows"]] == [("private steps", "private", 2)]


def test_events_that_come_twice_count_once(told: Any) -> None:
    twice = [*BEGUN, *BEGUN, DONE, DONE]

    assert told(*twice) == told(*BEGUN, DONE)


def test_patches(console: Console) -> None:
    console.open_quietly()
    cases = [
        ({"a": [1]}, [{"op": "add", "path": "/a/-", "value": 2}], {"a": [1, 2]}),
        ({"a": [1, 3]}, [{"op": "add", "path": "/a/1", "value": 2}], {"a": [1, 2, 3]}),
        ({"a/b": {"~": 1}}, [{"op": "replace", "path": "/a~1b/~0", "value": 2}], {"a/b": {"~": 2}}),
        ({"a": 1, "b": 2}, [{"op": "remove", "path": "/a"}], {"b": 2}),
        ({"a": {"x": 1}}, [{"op": "move", "from": "/a", "path": "/b"}], {"b": {"x": 1}}),
        ([0], [{"op": "copy", "from": "/0", "path": "/-"}, {"op": "add", "path": "/0", "value": 2}], [2, 0, 0]),
        ({"a": 1}, [{"op": "test", "path": "/a", "value": 1}, {"op": "replace", "path": "", "value": []}], []),
        (None, [{"op": "add", "path": "", "value": {"__proto__": 1}}], {"__proto__": 1}),
    ]  # fmt: skip
    refused = [
        ({"a": 1}, [{"op": "remove", "path": "/b"}]),
        ({"a": 1}, [{"op": "replace", "path": "/b", "value": 1}]),
        ({"a": [1]}, [{"op": "add", "path": "/a/7", "value": 1}]),
        ({"a": 1}, [{"op": "test", "path": "/a", "value": 2}]),
        ({}, [{"op": "add", "path": "/constructor/prototype/x", "value": 1}]),
    ]
    script = """return given[0].map(([value, operations]) => {
        try { return JSON.stringify(it.patched(value, operations)) } catch (error) { return "refused" } })"""
    plain = "return given[0].map((value) => JSON.stringify(value))"

    found = console.module("json_patch", script, [case[:2] for case in cases])

    assert found == console.module("json_patch", plain, [case[2] for case in cases])
    assert console.module("json_patch", script, refused) == ["refused"] * len(refused)


def test_messages_of_a_stream_are_whole_however_it_is_cut(console: Console) -> None:
    console.open_quietly()
    stream = (
        ": hello\n\nretry: 250\nid: 1-1\nevent: turn.started\ndata: {\"a\":\ndata: 1}\n\n"
        "id: 1-2\r\ndata: x\r\n\r\n: beat\n\nid: 1-3\n\ndata: y\n\n"
    )  # fmt: skip
    script = """
        const whole = new it.SseParser(), cut = new it.SseParser();
        const pieces = [...given[0]].flatMap((each) => cut.feed(each));
        return [whole.feed(given[0]), pieces, whole.retryMs];
    """

    whole, pieces, retry_ms = console.module("sse", script, stream)

    assert whole == pieces
    assert [(each["type"], each["id"], each["data"]) for each in whole] == [
        ("turn.started", "1-1", '{"a":\n1}'), ("message", "1-2", "x"), ("message", "1-3", "y"),
    ]  # fmt: skip
    assert retry_ms == 250


def test_long_waits_are_drawn_shorter(console: Console) -> None:
    console.open_quietly()
    periods = [
        {"from": 0, "to": 100, "kind": "running"},
        {"from": 100, "to": 86_400_000, "kind": "suspended"},
        {"from": 86_400_000, "to": 86_400_100, "kind": "running"},
    ]
    script = "const scale = new it.Scale(given[0]); return [scale.folds.length, ...given[1].map((at) => scale.at(at))];"

    folds, *places = console.module("scale", script, periods, [0, 50, 100, 86_400_000, 86_400_050, 86_400_100, 1e12])

    assert folds == 1
    assert places == sorted(places)
    assert places[0] == 0
    assert places[1] > 0.15
    assert places[-1] == places[-2] == 1


def test_numbers_are_shown_as_they_were_written(console: Console) -> None:
    console.open_quietly()
    texts = ["12345678901234567890", "0.1", "1e400", "-9007199254740993", "0.12345678901234567890", "7", '{"a":[1e21]}']
    script = "return given[0].map((text) => JSON.stringify(it.clone(it.parse(text))))"

    assert console.module("json", script, texts) == texts


def test_an_address_names_what_is_shown_and_nothing_else(console: Console) -> None:
    console.open_quietly()
    names = {
        "": "home", "#/": "home", "#/new?like=1": "post", "#/api": "api", "#/turns/1": "turn", "#/turns": "unknown",
        "#/sessions/a%2Fb": "session", "#/sessions/%": "unknown", "#/nowhere/x": "unknown", "#main": None,
        "#/constructor/x": "unknown", "#/__proto__/x": "unknown", "#/toString/x": "unknown",
    }  # fmt: skip
    script = "return given[0].map((hash) => it.placeOf(hash)?.name ?? null)"

    assert dict(zip(names, console.module("router", script, list(names)), strict=True)) == names
