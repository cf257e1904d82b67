"""Whatever the code of a turn raises, wherever, ends that turn and names what it was; and what a `finally` does on a
suspend changes nothing. Beside it a bystander's turn runs, which notices nothing.
"""

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from argosy import Context, StepFailedError, SyncContext, WorkflowError, emit, step, telemetry
from argosy.turn.status import Status
from argosy.workers.dispatch import own_loop
from argosy.workers.dispatch.turn import Turn
from tests.dispatch.turn_runner import Runner, told, until
from tests.journey.containment_workflows import ERRORS, PLACES
from tests.workflow.record_histories import play

_NAMES = {
    "exit": "SystemExit",
    "interrupt": "KeyboardInterrupt",
    "generator_exit": "GeneratorExit",
    "speechless": "SpeechlessError",
}
_RAISED_TO_SOMEBODY = ("body", "gathered", "group")
_UNHEARD = tuple(place for place in PLACES if place not in _RAISED_TO_SOMEBODY)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Somebody handles SIGINT, as in a worker: what is raised is no Ctrl-C."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    yield
    signal.signal(signal.SIGINT, before)


@asynccontextmanager
async def _beside_a_bystander(flow: Callable[..., Any], *, is_async: bool) -> AsyncIterator[Runner]:
    """Its step is under way all the time, and runs once."""
    begun, over, ran = asyncio.Event(), asyncio.Event(), list[str]()

    async def holds(ctx: Context) -> str:
        return await ctx.run(held)

    async def held() -> str:
        ran.append("once")
        begun.set()
        await over.wait()
        return "undisturbed"

    bystanders, runner = Runner(holds), Runner(flow, is_async=is_async)
    try:
        bystander = await bystanders.begin()
        await begun.wait()
        yield runner
        over.set()
        await until(lambda: bystander.has_ended)
        assert (bystander.status, bystander.result, ran) == (Status.COMPLETED, b'"undisturbed"', ["once"])
    finally:
        runner.threads.close()
        bystanders.threads.close()


def _end_of(flow: Callable[..., Any], *, is_async: bool = True) -> Turn:
    """The turn at its end, on a loop like a worker's."""
    turns: list[Turn] = []

    async def main() -> None:
        async with _beside_a_bystander(flow, is_async=is_async) as runner:
            turns.append(await play(runner, await runner.begin(), []))

    with capture_logs():
        own_loop.run(main())
    return turns[0]


def _in_workflow(job: dict[str, Any]) -> Callable[..., Any]:
    async def flow(ctx: Context) -> str:
        await PLACES[job["place"]](job)
        return "nothing noticed"

    return flow


def _in_task(job: dict[str, Any]) -> Callable[..., Any]:
    async def flow(ctx: Context) -> str:
        await asyncio.gather(PLACES[job["place"]](job), ctx.sleep(0))
        return "nothing noticed"

    return flow


def _in_step(job: dict[str, Any]) -> Callable[..., Any]:
    @step
    async def raises() -> str:
        await PLACES[job["place"]](job)
        return "nothing noticed"

    async def flow(ctx: Context) -> Any:
        return await ctx.run(raises)

    return flow


def _in_step_of_a_branch(job: dict[str, Any]) -> Callable[..., Any]:
    flow = _in_step(job)

    async def branches(ctx: Context) -> Any:
        async with asyncio.TaskGroup() as group:
            branch = group.create_task(flow(ctx))
        return branch.result()

    return branches


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("place", _RAISED_TO_SOMEBODY)
@pytest.mark.parametrize("host", [_in_workflow, _in_task, _in_step, _in_step_of_a_branch])
def test_what_is_raised_ends_its_turn_and_is_named(host: Callable[..., Any], place: str, error: str) -> None:
    turn = _end_of(host({"place": place, "error": error}))

    assert turn.status is Status.FAILED
    assert _NAMES[error] in (turn.error or b"").decode()


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("place", _UNHEARD)
@pytest.mark.parametrize("host", [_in_workflow, _in_task, _in_step, _in_step_of_a_branch])
def test_what_nobody_awaits_changes_nothing(host: Callable[..., Any], place: str, error: str) -> None:
    turn = _end_of(host({"place": place, "error": error}))

    assert (turn.status, turn.result) == (Status.COMPLETED, b'"nothing noticed"')


@pytest.mark.parametrize("error", ERRORS)
def test_what_a_thread_raises_ends_its_turn_and_is_named(error: str) -> None:
    @step
    def raises() -> None:
        raise ERRORS[error]()

    def itself(ctx: SyncContext) -> None:
        ctx.sleep(0)
        raise ERRORS[error]()

    def of_a_step(ctx: SyncContext) -> None:
        ctx.run(raises)

    async def of_a_step_in_line(ctx: Context) -> None:
        await ctx.run(raises)

    ends = [
        _end_of(itself, is_async=False),
        _end_of(of_a_step, is_async=False),
        _end_of(of_a_step_in_line),
    ]

    assert [turn.status for turn in ends] == [Status.FAILED] * 3
    assert [msgspec.json.decode(turn.error or b"")["type"] for turn in ends] == [_NAMES[error]] * 3


@pytest.mark.parametrize("error", ERRORS)
def test_code_can_catch_what_a_step_raised(error: str) -> None:
    raises = _in_step({"place": "gathered", "error": error})

    async def flow(ctx: Context) -> str:
        try:
            return str(await raises(ctx))
        except StepFailedError as failed:
            return failed.error_type

    turn = _end_of(flow)

    assert (turn.status, turn.result) == (Status.COMPLETED, f'"{_NAMES[error]}"'.encode())


# What a `finally` does on a suspend


async def _nothing() -> None:
    pass


async def _makes_tasks(ctx: Context) -> None:
    await asyncio.create_task(_nothing())


async def _sets_a_time_limit(ctx: Context) -> None:
    async with asyncio.timeout(1):
        await asyncio.sleep(0.5)


async def _waits_for_a_future(ctx: Context) -> None:
    await asyncio.get_running_loop().create_future()


async def _uses_a_queue(ctx: Context) -> None:
    await asyncio.Queue[int]().get()


async def _emits(ctx: Context) -> None:
    emit("said", text="on a suspend")


async def _exits(ctx: Context) -> None:
    raise SystemExit(3)


async def _asks_again_and_again(ctx: Context) -> None:
    while True:
        try:
            await ctx.run(_nothing)
        except BaseException:  # noqa: S112 — what user code must not do
            continue


_ASKED: dict[str, Callable[[Context], Awaitable[Any]]] = {
    "run": lambda ctx: ctx.run(_nothing),
    "sleep": lambda ctx: ctx.sleep(1),
    "signal": lambda ctx: ctx.wait_signal("other"),
    "now": lambda ctx: ctx.now(),
    "uuid": lambda ctx: ctx.uuid(),
}
_DONE: dict[str, Callable[[Context], Awaitable[Any]]] = {
    each.__name__: each
    for each in (
        *(_makes_tasks, _sets_a_time_limit, _waits_for_a_future, _uses_a_queue),
        *(_emits, _exits, _asks_again_and_again),
    )
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore:coroutine:RuntimeWarning")
@pytest.mark.parametrize("done", [*_ASKED, *_DONE])
def test_what_a_finally_does_on_a_suspend_changes_nothing(done: str) -> None:
    refused: list[WorkflowError] = []
    turns: list[Turn] = []

    async def flow(ctx: Context) -> Any:
        is_over = False
        try:
            told = await ctx.wait_signal("go")
            is_over = True
        finally:
            if not is_over:
                try:
                    await (_ASKED | _DONE)[done](ctx)
                except WorkflowError as error:
                    refused.append(error)
        return told

    async def main() -> None:
        async with _beside_a_bystander(flow, is_async=True) as runner:
            turns.append(await runner.run())
            turns.append(await runner.run(turns[0], Status.SUSPENDED, signals=("go",)))

    with capture_logs():
        own_loop.run(main())

    suspended, resumed = turns
    assert [kind for kind, _, _ in told(suspended)] == ["turn.started", "wait.started", "turn.suspended"]
    assert [kind for kind, _, _ in told(resumed)] == ["turn.resumed", "wait.completed", "turn.completed"]
    assert resumed.result == b"1"
    says = "rests or has ended: nothing of it emits any more" if done == "_emits" else "rests or has ended"
    is_refused = done in _ASKED or done in ("_makes_tasks", "_emits")
    assert [says in str(error) for error in refused] == [True] * is_refused


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("is_stubborn", [False, True])
async def test_a_turn_that_never_rests_leaves_the_loop_to_others(is_stubborn: bool) -> None:
    """It asks for one recorded value after the other, until its history is full."""

    async def flow(ctx: Context) -> None:
        while True:
            try:
                await ctx.now()
            except BaseException:
                if not is_stubborn:
                    raise

    passes = 0

    def pass_by() -> None:
        nonlocal passes
        passes += 1
        if not turn.has_ended:
            asyncio.get_running_loop().call_soon(pass_by)

    async with _beside_a_bystander(flow, is_async=True) as runner:
        with capture_logs() as logged:
            turn = await runner.begin()
            pass_by()
            await until(lambda: turn.has_ended)

    assert turn.status is Status.FAILED
    assert b"EVENTS_PER_TURN_MAX" in (turn.error or b"")
    unclosed = [telemetry.WORKFLOW_UNCLOSED] * is_stubborn
    assert [each["event"] for each in logged] == [*unclosed, telemetry.TURN_FAILED]
    gc.collect()  # which says, too, that the frame goes on
    assert passes >= turn.seq / 256
