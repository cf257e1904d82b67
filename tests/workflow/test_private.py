"""Steps and fields that are nobody else's business."""

from typing import Any

import pytest

from argosy import Context, StepFailedError, WorkflowError, emit, step
from argosy.errors import EncodingError
from tests.workflow.list_journal import ListJournal
from tests.workflow.running import run


async def test_nothing_of_a_private_step_is_kept_but_in_history() -> None:
    @step(private=True)
    async def pay() -> int:
        emit("tokens", text="4711")
        return 5

    async def flow(ctx: Context) -> Any:
        return await ctx.run(pay)

    journal = ListJournal()

    assert await run(flow, None, journal) == 5
    assert journal.data("step.completed", "pay") == {"result": 5, "attempts": 1, "private": True}
    assert journal.reveal().open() == []
    assert journal.hidden == {"pay"}
    assert await run(flow, None, ListJournal(journal.rows)) == 5


@pytest.mark.parametrize(
    ("channel", "shown"),
    [
        ("", {"text": "a"}),
        ("a" * 65, {"json": 1}),
        ("a\n", {"patch": []}),
        ("a", {"text": "\ud800"}),
        ("a", {"text": 1}),
        ("a", {"json": {1, 2}}),
        ("a", {"patch": {"op": "add"}}),
        ("a", {"text": "a", "json": 1}),
        ("a", {}),
    ],
)
@pytest.mark.parametrize("private", [True, False])
async def test_a_wrong_emit_is_wrong_in_a_private_step_too(private: bool, channel: str, shown: dict[str, Any]) -> None:
    wrong: list[str] = []

    @step(private=private)
    async def pay() -> None:
        try:
            emit(channel, **shown)
        except (WorkflowError, EncodingError) as error:
            wrong.append(str(error))

    async def flow(ctx: Context) -> Any:
        return await ctx.run(pay)

    journal = ListJournal()
    await run(flow, None, journal)

    assert len(wrong) == 1
    assert "channels" not in journal.data("step.completed", "pay")


async def test_private_fields_are_marked_and_the_workflow_has_them() -> None:
    @step(private=("card",))
    async def pay() -> Any:
        emit("tokens", text="paying")
        return {"card": 4711, "paid": 5}

    async def flow(ctx: Context) -> Any:
        return await ctx.run(pay)

    journal = ListJournal()

    assert await run(flow, None, journal) == {"card": 4711, "paid": 5}
    assert journal.data("step.completed", "pay") == {
        "result": {"card": 4711, "paid": 5},
        "attempts": 1,
        "channels": {"tokens": {"text": "paying"}},
        "private": ["card"],
    }


async def test_every_event_of_a_private_step_says_so() -> None:
    @step(private=True, retries=1, effect="at_most_once")
    async def pay() -> None:
        raise ValueError("card 4711")

    async def flow(ctx: Context) -> None:
        await ctx.run(pay)

    journal = ListJournal()
    with pytest.raises(StepFailedError) as failed:
        await run(flow, None, journal)
    with pytest.raises(StepFailedError) as again:
        await run(flow, None, ListJournal(journal.rows))

    assert [journal.data(kind, key)["private"] for kind, key in journal.outcomes()] == [True, True]
    assert failed.value.is_private
    assert again.value.is_private


@pytest.mark.parametrize("private", ["card", ["card"], (1,), 1, None, ("\n",)])
def test_what_is_private_is_said_in_one_way(private: Any) -> None:
    with pytest.raises(WorkflowError, match="private must be"):

        @step(private=private)
        async def pay() -> None: ...
