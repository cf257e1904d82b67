"""How the console follows a turn when the stream does not go well."""

from typing import Any

from tests.console.browser import Browser, Console
from tests.console.scripted import JSON, STREAM, TURN_ID, Act, Scripted, message, page
from tests.console.test_turn_model import event

STARTED = event(1, "turn.started", 0) | {"id": "1-1"}
WRITTEN = event(2, "step.completed", 2, "write", result=1, attempts=1, channels={"answer": {"text": "Hello"}}) | {
    "id": "1-2"
}
COMPLETED = event(3, "turn.completed", 2) | {"id": "1-3"}


def told(*events: dict[str, Any]) -> str:
    """Events as messages of a stream."""
    return "".join(message(each["type"], each["id"], each) for each in events)


def frame(id_: str, offset: int, text: str) -> str:
    data = {"attempt": 1, "n": offset + 1, "channel": "answer", "step": "write", "offset": offset, "text": text}
    return message("frame", id_, data)


def watch(browser: Browser, *acts: Act) -> list[tuple[str, str | None, str]]:
    """What was asked until the turn had ended, whatever came in between; the text was whole."""
    with Scripted(*acts) as gateway:
        console = Console(browser, gateway.url)
        console.open_turn(TURN_ID)
        browser.until_text("Hello", ".said")
        gateway.turn |= {"status": "completed", "ended_at": "2026-11-21T12:00:02Z"}
        console.status("completed")
        browser.until(lambda: not gateway.acts, "end of the acts")
        assert browser.text(".said") == "Hello"
        assert browser.violations() == []
        console.open("#/nowhere")
        browser.log()
    return gateway.asked


def test_a_stream_that_breaks_off_goes_on_where_it_was(browser: Browser) -> None:
    asked = watch(
        browser,
        Act(200, STREAM, told(STARTED) + frame("1-1.1.1", 0, "Hel") + "id: 1-1.1.9\ndata: {\"cut"),
        Act(200, STREAM, "retry: 20\n\n" + frame("1-1.1.4", 3, "lo")),
        Act(200, STREAM, told(WRITTEN, COMPLETED)),
    )  # fmt: skip

    assert asked == [(STREAM, None, ""), (STREAM, "1-1.1.1", ""), (STREAM, "1-1.1.4", "")]


def test_while_there_is_no_stream_the_events_are_asked_for(browser: Browser) -> None:
    asked = watch(
        browser,
        Act(503),
        Act(200, JSON, page(STARTED)),
        Act(200, JSON, page()),
        Act(200, JSON, page(WRITTEN)),
        Act(200, JSON, page(COMPLETED)),
    )

    assert [(accept == STREAM, query) for accept, _, query in asked] == [
        (True, ""), (False, "after=0"), (False, "after=1"), (False, "after=1"), (False, "after=2"),
    ]  # fmt: skip


def test_a_page_that_nobody_sees_holds_no_connection(browser: Browser) -> None:
    see = """
        Object.defineProperty(document, "hidden", { configurable: true, value: given[0] });
        document.dispatchEvent(new Event("visibilitychange"));
    """
    first = Act(200, STREAM, told(STARTED) + frame("1-1.1.1", 0, "Hel"), is_held=True)
    second = Act(200, STREAM, frame("1-1.1.4", 3, "lo"), is_held=True)
    with Scripted(first, second) as gateway:
        Console(browser, gateway.url).open_turn(TURN_ID)
        browser.until_text("Hel", ".said")

        browser.run(see, True)
        assert gateway.has_hung_up.wait(8)
        assert len(gateway.asked) == 1
        browser.run(see, False)

        browser.until_text("Hello", ".said")
        browser.open("about:blank")
    assert gateway.asked[1] == (STREAM, "1-1.1.1", "")


def test_a_page_that_was_opened_while_postgres_was_away_fills_when_it_is_back(browser: Browser) -> None:
    with Scripted(Act(200, STREAM, told(STARTED, WRITTEN, COMPLETED))) as gateway:
        gateway.turn |= {"status": "completed", "result": "well", "ended_at": "2026-11-21T12:00:02Z"}
        gateway.is_store_away = True
        console = Console(browser, gateway.url)
        console.open_turn(TURN_ID)
        browser.until_text("Postgres cannot be asked", ".about")

        gateway.is_store_away = False
        console.status("completed")
        browser.until_text("well", ".turn")
        browser.open("about:blank")
    browser.log()


def test_an_id_that_means_nothing_any_more_is_given_up(browser: Browser) -> None:
    asked = watch(
        browser,
        Act(200, STREAM, told(STARTED)),
        Act(400),
        Act(200, JSON, page(WRITTEN)),
        Act(200, JSON, page()),
        Act(200, JSON, page(COMPLETED)),
    )

    assert asked[1] == (STREAM, "1-1", "")
    assert asked[2][2] == "after=1"


def test_what_was_unwritten_by_a_restore_is_thrown_away(browser: Browser) -> None:
    lost = event(2, "step.completed", 1, "lost", result=1, attempts=1) | {"id": "1-2"}
    again = [each | {"id": f"2-{each['seq']}"} for each in (WRITTEN, COMPLETED)]

    asked = watch(
        browser,
        Act(200, STREAM, told(STARTED, lost)),
        Act(200, STREAM, message("resync", "1-1", {"from_seq": 1}) + told(*again)),
    )

    assert asked[1] == (STREAM, "1-2", "")


def test_a_turn_that_waits_for_its_trial_says_so_although_it_counts_as_running(browser: Browser) -> None:
    with Scripted(Act(200, STREAM, told(STARTED))) as gateway:
        gateway.pages[f"/v1/turns/{TURN_ID}/explain"] = {
            "status": "running", "code": "waiting_for_trial", "why": "It was running in 3 crashes of workers.",
            "what_to_do": "Nothing: the innocent go on.",
        }  # fmt: skip
        console = Console(browser, gateway.url)
        console.open_turn(TURN_ID)

        browser.until_text("It was running in 3 crashes of workers.", ".why")
        assert "the innocent go on" in browser.text(".why")
        console.open("#/nowhere")
        browser.log()
