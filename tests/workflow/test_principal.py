"""What a workflow and its steps are told of whoever posted the turn, and what the turn may do then."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

import argosy
from argosy import Context, StepFailedError, SyncContext, step, step_info, workflow
from argosy.identity.turn_principal import LOCAL, TurnPrincipal, principal_of_turn
from argosy.workflow.current import Try
from argosy.workflow.open_attempt import OpenAttempt
from tests.harness.memory_graphs import MemoryGraphs
from tests.workflow.graph_flows import ADA
from tests.workflow.list_journal import ListJournal
from tests.workflow.running import run
from tests.workflow.test_ingest import MemoryIngests

USER = TurnPrincipal("token", "somebody", "default", frozenset({"turns:write", "turns:read"}))
READER = TurnPrincipal("token", "somebody", "default", frozenset({"graphs:read", "jobs:read"}))
LIMITED = TurnPrincipal(
    "token", "somebody", "default", frozenset({"graphs:read", "graphs:write", "jobs:write"}), sessions=("customer-*",)
)


def journal(
    who: TurnPrincipal | None, *, needs_rights: bool = True, rows: list[Any] | None = None, attempt: int = 1
) -> ListJournal:
    made = ListJournal(rows, attempt=attempt)
    made.principal, made.needs_rights = who, needs_rights
    made.shards, made.ingests = MemoryGraphs(), MemoryIngests()
    return made


@step
async def asks() -> list[str]:
    told = step_info().principal
    assert told is not None
    return [told.kind, told.id, told.tenant, *sorted(told.scopes)]


@step
def asks_in_a_thread() -> Any:
    told = step_info().principal
    return told and [told.kind, threading.current_thread() is threading.main_thread()]


async def test_a_workflow_and_its_steps_are_told_who_posted_the_turn() -> None:
    async def flow(ctx: Context) -> Any:
        assert ctx.principal is USER
        return [await ctx.run(asks), await ctx.run(asks_in_a_thread)]

    assert await run(flow, None, journal(USER)) == [
        ["token", "somebody", "default", "turns:read", "turns:write"],
        ["token", False],
    ]


async def test_a_synchronous_workflow_is_told_it_too() -> None:
    @workflow
    def flow(ctx: SyncContext) -> Any:
        return ctx.principal and ctx.principal.id

    assert await run(flow, None, journal(USER)) == "somebody"


async def test_nobody_is_told_where_nobody_is_known() -> None:
    async def flow(ctx: Context) -> Any:
        return [ctx.principal, await ctx.run(asks_in_a_thread)]

    assert await run(flow, None, journal(None)) == [None, None]


def test_code_that_goes_on_when_its_turn_has_ended_is_told_the_same() -> None:
    attempt = OpenAttempt(journal(USER))
    this = Try(attempt, "step", 1, False)
    attempt.leave()

    assert attempt.info(this).principal is USER


def test_nothing_of_it_can_be_changed() -> None:
    with pytest.raises(AttributeError):
        USER.scopes = frozenset({"graphs:write"})  # type: ignore[misc]
    assert not hasattr(USER.scopes, "add")


async def reads(ctx: Context) -> Any:
    return await ctx.graph().get("ada")


async def reads_named(ctx: Context) -> Any:
    return await ctx.graph("customers").summary()


async def writes(ctx: Context) -> Any:
    return await ctx.graph().upsert_nodes([ADA])


async def writes_named(ctx: Context) -> Any:
    return await ctx.graph("customers").upsert_nodes([ADA])


async def uploads(ctx: Context) -> Any:
    return await ctx.start_ingest(None, [{"op": "upsert_node", **ADA}])


async def waits(ctx: Context) -> Any:
    return await ctx.wait_ingest("00000000-0000-0000-0000-000000000001")


@step(retries=5)
async def reads_a_graph() -> Any:
    return await argosy.graph().get("ada")


async def reads_in_a_step(ctx: Context) -> Any:
    return await ctx.run(reads_a_graph)


REFUSED = [
    (USER, reads, "graphs:read"),
    (USER, reads_in_a_step, "graphs:read"),
    (USER, writes, "graphs:write"),
    (USER, uploads, "jobs:write"),
    (USER, waits, "jobs:read"),
    (READER, writes, "graphs:write"),
    (READER, uploads, "jobs:write"),
    # limited to sessions: of graphs its session's own alone, and no jobs, as for requests
    (LIMITED, reads_named, "graphs:read"),
    (LIMITED, writes_named, "graphs:write"),
    (LIMITED, uploads, "jobs:write"),
]


@pytest.mark.parametrize(("who", "flow", "scope"), REFUSED)
async def test_what_the_principal_may_not_fails_at_once_in_its_step_and_nothing_is_done(
    who: TurnPrincipal, flow: Callable[[Context], Any], scope: str
) -> None:
    told = journal(who)

    with pytest.raises(StepFailedError, match=f"insufficient_scope.*{scope}") as failed:
        await run(flow, None, told)

    assert failed.value.error_type == "NoRightError"
    assert [kind for kind, _ in told.outcomes()] == ["step.failed"]
    assert isinstance(told.shards, MemoryGraphs)
    assert isinstance(told.ingests, MemoryIngests)
    assert (told.shards.graphs, told.shards.sent, told.ingests.started) == ({}, [], [])


@pytest.mark.parametrize(
    ("who", "flow"),
    [
        (READER, reads),
        (READER, reads_in_a_step),
        (LIMITED, reads),
        (LIMITED, writes),
        (None, writes_named),
        (None, uploads),
        (principal_of_turn(LOCAL, "default"), writes_named),
        (principal_of_turn(LOCAL, "default"), uploads),
    ],
)
async def test_what_the_principal_may_is_done(who: TurnPrincipal | None, flow: Callable[[Context], Any]) -> None:
    await run(flow, None, journal(who))


@pytest.mark.parametrize("flow", [each[1] for each in REFUSED if each[1] not in (waits, reads_named)])
async def test_unless_it_is_asked_for_no_right_is_needed(flow: Callable[[Context], Any]) -> None:
    await run(flow, None, journal(USER, needs_rights=False))


async def test_a_write_that_was_recorded_is_finished_by_a_later_attempt_that_needs_rights() -> None:
    """What is recorded was allowed: the setting may have changed since."""
    first = journal(USER, needs_rights=False)
    await run(writes, None, first)
    later = journal(USER, rows=first.rows[:1], attempt=2)
    later.shards = first.shards

    assert await run(writes, None, later) == 1
    assert [kind for kind, _ in later.outcomes()] == ["step.intended", "step.completed"]
