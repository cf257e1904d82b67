"""The workflows that ship with Argosy."""

import json
from pathlib import Path
from typing import Any

import pytest

from argosy import StepFailedError, WorkflowError
from argosy.workflow.catalog import Catalog
from argosy.workflows.echo import echo
from argosy.workflows.support_text import clean, language
from argosy.workflows.support_triage import support_triage
from tests.workflow.list_journal import ListJournal
from tests.workflow.running import run

TICKETS = Path(__file__).parents[2] / "examples" / "support_tickets.jsonl"
LINES: list[dict[str, Any]] = [json.loads(line) for line in TICKETS.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("value", [None, {"a": [1, 2.5, "ü"]}])
async def test_echo_answers_its_input_through_one_step(value: Any) -> None:
    journal = ListJournal()

    assert await run(echo, value, journal) == value
    assert journal.outcomes() == [("step.completed", "answer")]


def test_the_example_is_two_customers_conversations_of_a_workflow_that_ships() -> None:
    catalog = Catalog.load(())

    assert len({line["session"] for line in LINES}) == 2
    assert len(LINES) == 6
    assert all(catalog.get(line["workflow"], None) for line in LINES)


async def test_every_example_ticket_is_triaged_without_a_human_and_the_same_each_time() -> None:
    results = [await run(support_triage, line["input"]) for line in LINES]

    assert results == [await run(support_triage, line["input"]) for line in LINES]
    assert {result["language"] for result in results} == {"en", "de"}
    assert {result["next_action"] for result in results} == {"send the draft", "hold for a human"}
    assert all(result["articles"] and result["summary"] for result in results)


async def test_its_steps_can_be_followed() -> None:
    journal = ListJournal()
    await run(support_triage, LINES[0]["input"], journal)

    assert [key for _, key in journal.outcomes()] == [
        "normalise", "detect_language", "score_urgency", "find_articles", "draft_answer", "summarise"
    ]  # fmt: skip


async def test_the_draft_can_be_watched_as_it_is_written() -> None:
    journal = ListJournal()
    result = await run(support_triage, LINES[0]["input"] | {"words_per_s": 10_000}, journal)

    assert journal.data("step.completed", "draft_answer")["channels"] == {"draft": {"text": result["draft"]}}


def urgent() -> dict[str, Any]:
    return next(line["input"] for line in LINES if "URGENT" in line["input"]["ticket"]["subject"])


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
