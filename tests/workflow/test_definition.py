"""Declarations: what they keep, what they allow, and what they refuse with one line."""

from collections.abc import AsyncIterator, Callable, Iterator
from functools import wraps
from typing import Any

import pytest

from argosy import Context, StepInfo, WorkflowError, step, step_info, workflow
from argosy.workflow.definition import step_of, workflow_of
from tests.workflow.running import run


async def test_a_step_is_a_plain_function_outside_a_workflow() -> None:
    @step(retries=3, timeout_s=1, effect="at_most_once")
    async def later(value: int) -> int:
        return value

    @step
    def at_once(value: int) -> int:
        """Its own words."""
        return value

    assert (await later(1), at_once(2)) == (1, 2)
    assert (at_once.__name__, at_once.__doc__) == ("at_once", "Its own words.")


async def test_a_workflow_is_a_plain_function_too() -> None:
    @workflow
    async def shout(ctx: Any, value: str) -> str:
        return value.upper()

    assert await shout(None, "a") == "A"


def test_what_is_declared_is_kept() -> None:
    @workflow(name="shop.checkout", version="2026-11")
    async def checkout(ctx: Context, order: Any) -> None:
        """Sells something.

        At length.
        """

    declared = workflow_of(checkout)

    assert declared is not None
    assert (declared.name, declared.version) == ("shop.checkout", "2026-11")
    assert declared.description == "Sells something."
    assert workflow_of(3) is None


def test_the_defaults_are_the_careful_ones() -> None:
    async def charge() -> None:
        pass

    async def checkout(ctx: Context) -> None:
        pass

    charging, selling = step_of(step(charge)), workflow_of(workflow(checkout))

    assert selling is not None
    assert (charging.name, charging.effect, charging.timeout_s) == ("charge", "idempotent", None)
    assert charging.policy.retries == 0
    assert (selling.name, selling.version, selling.description) == ("checkout", "1", "")


async def test_a_decorator_around_a_workflow_is_part_of_it() -> None:
    def doubled(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        async def wrapper(ctx: Context, value: int) -> Any:
            return 2 * await function(ctx, value)

        return wrapper

    @doubled
    @workflow
    async def answer(ctx: Context, value: int) -> int:
        return value

    assert await run(answer, 21) == 42


async def test_methods_and_callable_objects_can_be_steps() -> None:
    class Bank:
        @step
        async def charge(self, total: int) -> int:
            return total

        def refund(self, total: int) -> int:
            return -total

    async def flow(ctx: Context) -> Any:
        bank = Bank()
        return [await ctx.run(bank.charge, 5), await ctx.run(bank.refund, 5)]

    assert await run(flow) == [5, -5]


def generator(ctx: Any) -> Iterator[int]:
    yield 1


async def async_generator(ctx: Any) -> AsyncIterator[int]:
    yield 1


async def fine(ctx: Any) -> None:
    pass


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"retries": -1}, "retries"),
        ({"retries": True}, "retries"),
        ({"retries": 1.5}, "retries"),
        ({"retries": 1_001}, "retries"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"timeout_s": -1}, "timeout_s"),
        ({"timeout_s": float("nan")}, "timeout_s"),
        ({"timeout_s": float("inf")}, "timeout_s"),
        ({"timeout_s": "5"}, "timeout_s"),
        ({"effect": "twice"}, "effect"),
        ({"backoff_s": -1}, "backoff_s"),
        ({"backoff_s": 10, "backoff_s_max": 5}, "backoff_s"),
        ({"backoff_s_max": float("inf")}, "backoff_s"),
        ({"retry_on": "ValueError"}, "exception classes"),
        ({"no_retry_on": (ValueError, 3)}, "exception classes"),
        ({"name": ""}, "a name begins with a letter"),
        ({"name": "a#2"}, "a name begins with a letter"),
        ({"name": "a~1"}, "a name begins with a letter"),
        ({"name": "signal:go"}, "a name begins with a letter"),
        ({"name": "x" * 129}, "a name begins with a letter"),
        ({"name": 5}, "a name begins with a letter"),
        ({"retry": 3}, "there is no option retry"),
        ({"name": "sleep"}, "belongs to ctx.sleep"),
    ],
)
def test_a_bad_step_is_refused_in_one_line(options: dict[str, Any], says: str) -> None:
    with pytest.raises(WorkflowError, match=says) as refused:
        step(**options)(fine)

    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (generator, "generator"),
        (async_generator, "generator"),
        (lambda ctx: None, "<lambda>"),
        (5, "only functions"),
        (dict, "only functions"),
    ],
)
def test_what_cannot_be_a_step_or_a_workflow_is_refused(function: Any, says: str) -> None:
    with pytest.raises(WorkflowError, match=says):
        step(function)
    with pytest.raises(WorkflowError, match=says):
        workflow(function)


def test_a_workflow_needs_ctx_and_takes_one_input() -> None:
    async def without_ctx() -> None:
        pass

    async def with_two(ctx: Context, a: int, b: int) -> None:
        pass

    async def with_keyword(ctx: Context, a: int, *, b: int) -> None:
        pass

    async def with_defaults(ctx: Context, a: int, b: int = 1, *rest: int, c: int = 2, **more: int) -> None:
        pass

    for function, says in ((without_ctx, "must be ctx"), (with_two, "need defaults"), (with_keyword, "need defaults")):
        with pytest.raises(WorkflowError, match=says):
            workflow(function)
    workflow(with_defaults)


@pytest.mark.parametrize("version", [1, None, "", "x" * 65, "a\nb"])
def test_a_version_is_a_short_string(version: Any) -> None:
    with pytest.raises(WorkflowError, match="version must be a string"):
        workflow(version=version)(fine)


def test_nothing_is_a_step_and_a_workflow() -> None:
    async def first(ctx: Any) -> None:
        pass

    async def second(ctx: Any) -> None:
        pass

    with pytest.raises(WorkflowError, match="workflow already"):
        step(workflow(first))
    with pytest.raises(WorkflowError, match="step already"):
        workflow(step(second))
    with pytest.raises(WorkflowError, match=r"ctx\.run takes steps"):
        step_of(first)


def test_step_info_outside_a_step_is_a_clear_error() -> None:
    with pytest.raises(WorkflowError, match="inside a step"):
        step_info()


async def test_step_info_tells_a_step_where_it_is() -> None:
    infos: list[StepInfo] = []

    async def look() -> None:
        infos.append(step_info())

    async def flow(ctx: Context) -> None:
        await ctx.run(look)
        await ctx.run(look)
        with pytest.raises(WorkflowError):
            step_info()

    await run(flow)

    assert [info.step_key for info in infos] == ["look", "look#2"]
    assert infos[1].idempotency_key == f"{infos[1].turn_id}/look#2"
    assert (infos[1].attempt, infos[1].try_number) == (1, 1)
