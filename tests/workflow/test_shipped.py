"""The workflows that ship with Argosy."""

import uuid
from pathlib import Path
from typing import Any

import pytest

from argosy import StepFailedError, WorkflowError
from argosy.graph.facts import Source
from argosy.ingest.documents import Document, replacement_of
from argosy.local.demonstration import read_turns
from argosy.workflow.catalog import Catalog
from argosy.workflows.ask_library import ask_library
from argosy.workflows.echo import echo
from argosy.workflows.support_text import clean, language
from argosy.workflows.support_triage import support_triage
from tests.harness.memory_graphs import MemoryGraphs
from tests.workflow.list_journal import ListJournal
from tests.workflow.running import run

TICKETS = Path(__file__).parents[2] / "examples" / "support_tickets.jsonl"
CONSTITUTION = TICKETS.with_name("constitution.txt")
FIRST, SECOND, _ = read_turns(TICKETS)  # conversations of two customers each, the second a week after the first
LINES = FIRST + SECOND


@pytest.mark.parametrize("value", [None, {"a": [1, 2.5, "ü"]}])
async def test_echo_answers_its_input_through_one_step(value: Any) -> None:
    journal = ListJournal()

    assert await run(echo, value, journal) == value
    assert journal.outcomes() == [("step.completed", "answer")]


def test_the_example_is_two_customers_who_write_again_in_other_sessions() -> None:
    catalog = Catalog.load(())

    for turns in (FIRST, SECOND):
        assert len({line["session"] for line in turns}) == 2
        assert {line["input"]["ticket"]["customer_id"] for line in turns} == {"1841", "2207"}
    assert not {line["session"] for line in FIRST} & {line["session"] for line in SECOND}
    assert all(catalog.get(line["workflow"], None) for line in LINES)


async def triaged(graphs: MemoryGraphs, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The results of turns that have these graphs, one after the other."""
    results = []
    for line in lines:
        journal = ListJournal()
        journal.turn_id, journal.session, journal.shards = uuid.uuid4(), line["session"], graphs
        results.append(await run(support_triage, line["input"], journal, payload_size_bytes_max=16_384))
    return results


async def test_every_example_ticket_is_triaged_without_a_human_and_the_same_each_time() -> None:
    graphs = MemoryGraphs()
    results = await triaged(graphs, LINES)

    assert results == await triaged(graphs, LINES)
    assert {result["language"] for result in results} == {"en", "de"}
    assert {result["next_action"] for result in results} == {
        "send the draft", "hold for a human", "add to T-58236", "pass to a human"
    }  # fmt: skip
    assert all(result["summary"] for result in results)


async def test_the_second_conversation_shows_what_the_first_taught() -> None:
    graphs = MemoryGraphs()
    await triaged(graphs, FIRST)
    refund, parcel = await triaged(graphs, SECOND)
    refund_alone, parcel_alone = await triaged(MemoryGraphs(), SECOND)

    assert refund["remembered"] == ("T-58236, 8 days earlier: 'Re: Charged twice for order 77-3120' → hold for a human")
    assert (refund_alone["next_action"], refund["next_action"]) == ("hold for a human", "add to T-58236")
    assert parcel["remembered"] == "T-58211, 8 days earlier: 'Paket seit einer Woche nicht angekommen' → kb-202 sent"
    assert (parcel_alone["articles"], parcel["articles"]) == (["kb-202"], [])
    assert (parcel_alone["next_action"], parcel["next_action"]) == ("send the draft", "pass to a human")
    assert "schon geschrieben (T-58211)" in parcel["draft"]
    assert "remembered" not in refund_alone.keys() | parcel_alone.keys()


async def test_a_ticket_that_is_triaged_again_is_remembered_once() -> None:
    graphs = MemoryGraphs()
    await triaged(graphs, LINES)
    await triaged(graphs, LINES)

    (name, memory), = graphs.graphs.items()  # fmt: skip
    assert name == ("default", "support")
    assert sorted(memory.nodes) == [
        "customer/1841", "customer/2207", *sorted(f"ticket/{line['input']['ticket']['id']}" for line in LINES)
    ]  # fmt: skip
    assert len(memory.edges) == len(LINES)


async def test_what_a_human_decided_is_remembered() -> None:
    graphs, journal = MemoryGraphs(), ListJournal()
    journal.shards, journal.signals = graphs, {"approval": [{"approved": True}]}
    await run(support_triage, urgent() | {"remember": True, "approval_timeout_s": 3_600}, journal)

    ticket = urgent()["ticket"] | {"id": "T-2", "received_at": "2026-11-20T09:00:00"}
    (result,) = await triaged(graphs, [{"session": "another", "input": {"remember": True, "ticket": ticket}}])

    assert result["remembered"].endswith("the day before: 'URGENT: API down, every request times out' → kb-105 sent")
    assert (result["articles"], result["next_action"]) == ([], "hold for a human")


async def test_a_time_that_is_none_is_a_clear_error() -> None:
    ticket = FIRST[0]["input"]["ticket"] | {"received_at": "last week"}

    with pytest.raises(WorkflowError, match="received_at is a time such as"):
        await run(support_triage, {"remember": True, "ticket": ticket})


async def test_its_steps_can_be_followed() -> None:
    journal = ListJournal()
    journal.shards = MemoryGraphs()
    await run(support_triage, LINES[0]["input"], journal)

    assert [key for kind, key in journal.outcomes() if kind == "step.completed"] == [
        "normalise", "detect_language", "score_urgency", "find_articles", "graph:write", "graph:neighbors",
        "draft_answer", "graph:write#2", "summarise",
    ]  # fmt: skip


async def test_a_ticket_to_remember_says_whose_it_is() -> None:
    with pytest.raises(WorkflowError, match="customer_id"):
        await run(support_triage, {"remember": True, "ticket": {"id": "T-1", "subject": "Hm", "body": ""}})


async def test_nothing_is_remembered_unless_it_is_asked_for() -> None:
    journal = ListJournal()
    result = await run(support_triage, LINES[0]["input"] | {"remember": False}, journal)

    assert [key for _, key in journal.outcomes()] == [
        "normalise", "detect_language", "score_urgency", "find_articles", "draft_answer", "summarise"
    ]  # fmt: skip
    assert "remembered" not in result


async def test_the_draft_can_be_watched_as_it_is_written() -> None:
    journal = ListJournal()
    result = await run(support_triage, LINES[0]["input"] | {"remember": False, "words_per_s": 10_000}, journal)

    assert journal.data("step.completed", "draft_answer")["channels"] == {"draft": {"text": result["draft"]}}


def urgent() -> dict[str, Any]:
    """The input of a ticket that needs approval, and asks for no graphs."""
    found = next(line["input"] for line in FIRST if "URGENT" in line["input"]["ticket"]["subject"])
    return {"ticket": found["ticket"]}


@pytest.mark.parametrize(
    ("approval", "next_action"),
    [
        ({"approved": True, "by": "Ada"}, "send the draft"),
        ({"approved": False}, "drop the draft"),
        ("yes", "drop the draft"),
    ],
)
async def test_an_urgent_ticket_waits_for_approval_when_it_is_told_to(approval: Any, next_action: str) -> None:
    journal = ListJournal()
    journal.signals = {"approval": [approval]}

    result = await run(support_triage, urgent() | {"approval_timeout_s": 3_600}, journal)

    assert journal.waits == [("signal:approval", "signal", "approval", 3_600.0)]
    assert (result["next_action"], result["approval"]) == (next_action, approval)


async def test_an_approval_that_does_not_come_in_time_holds_the_draft() -> None:
    result = await run(support_triage, urgent() | {"approval_timeout_s": 3_600})

    assert result["next_action"] == "hold for a human"


async def test_a_ticket_that_the_knowledge_base_does_not_know_goes_to_a_human() -> None:
    result = await run(support_triage, {"ticket": {"id": "T-1", "subject": "Hm", "body": ""}})

    assert (result["articles"], result["urgency"], result["next_action"]) == ([], "low", "pass to a human")


@pytest.mark.parametrize("value", [None, 5, {}, {"ticket": "text"}])
async def test_an_input_without_a_ticket_is_a_clear_error(value: Any) -> None:
    with pytest.raises(WorkflowError, match="the input is"):
        await run(support_triage, value)


async def test_a_ticket_without_its_text_fails_in_its_first_step() -> None:
    with pytest.raises(StepFailedError, match="subject, body"):
        await run(support_triage, {"ticket": {"id": "T-1"}})


def test_quotes_and_signatures_are_not_what_the_customer_wrote() -> None:
    assert clean("Hi,\n\nhelp!\n\nOn Mon, X wrote:\n> old\n> text\n-- \nMaya\nBakery") == "Hi, help!"
    assert language("12345")["language"] == "en"


async def asked(question: str) -> Any:
    """What a library answers that has the example's text."""
    graphs, journal = MemoryGraphs(), ListJournal()
    await graphs.create(journal.tenant, "library")
    made = replacement_of(Document("constitution", CONSTITUTION.read_text(encoding="utf-8"), {"title": "a text"}))
    await graphs.of(journal.tenant, "library").apply(made.ops, key=None, token=None, source=Source())
    journal.turn_id, journal.session, journal.shards = uuid.uuid4(), "reader", graphs
    return await run(ask_library, {"question": question}, journal, payload_size_bytes_max=65_536)


async def test_the_library_answers_with_a_sentence_and_where_it_stands() -> None:
    sentence = "The House of Representatives shall chuse their Speaker and other Officers;"

    assert await asked("Speaker") == {
        "answer": sentence,
        "chunk": "constitution#00003",
        "document": "a text",
        "summary": f"{sentence} (a text, constitution#00003)",
    }


async def test_the_library_says_that_it_has_no_answer() -> None:
    assert (await asked("Zeppelins"))["summary"] == "nothing in the library says so"


@pytest.mark.parametrize("question", [" ", 7])
async def test_the_library_is_asked_a_question(question: Any) -> None:
    with pytest.raises(WorkflowError, match="a question is a text"):
        await asked(question)
