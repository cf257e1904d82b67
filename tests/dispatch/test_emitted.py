"""What a turn emits, and what is private of it, in the events that a worker writes."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from argosy import Context, StepFailedError, emit, step
from argosy.turn.projection import shown
from argosy.turn.status import Status
from argosy.workflow.channels import ChannelBounds
from argosy.workflow.definition import Workflow
from workers.dispatch.execution.executor import Executor
from workers.dispatch.execution.limits import Limits
from workers.dispatch.scheduling.scheduler import Scheduler
from workers.dispatch.turn import Owned, Resume, Signal, Stop, Turn


class FlusherStub:
    """Everything is durable at once, and stays in turn.events."""

    waiting = 0

    def add(self, turn: Turn) -> None:
        turn.durable_seq = turn.seq

    add_lazily = add

    def durable(self, turn: Turn) -> asyncio.Future[None]:
        self.add(turn)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def is_word_old(self, owned: Owned) -> bool:
        return False


class Runner:
    """Runs turns of one workflow, one after the other."""

    def __init__(self, function: Callable[..., Any]) -> None:
        definition = Workflow("flow", "1", "", function, True, False, False)
        self.asked: list[Turn] = []
        self.threads = ThreadPoolExecutor(2)
        self.scheduler = Scheduler(8)

        class Found:
            def get(self, name: str, version: str | None) -> Workflow:
                return definition

        self.executor = Executor(
            self.scheduler,
            FlusherStub(),  # type: ignore[arg-type]
            Found(),  # type: ignore[arg-type]
            self.threads,
            slots=8,
            flush_queue_max=100,
            limits=Limits(10_000, 60, 1_000, ChannelBounds(1_000, 10_000, 20_000, 16)),
            database_time_s=lambda: 1_000.0,
            load=lambda turn: self.executor.begin(turn),
            again=lambda turn: None,
            on_freed=lambda: None,
            listener_of=self._listener_of,
        )

    def _listener_of(self, turn: Turn) -> None:
        assert turn.channels is not None
        self.asked.append(turn)

    async def begin(
        self,
        before: Turn | None = None,
        status: Status = Status.QUEUED,
        resume: Resume = Resume.CRASHED,
        signals: tuple[str, ...] = (),
        until: int = 10**9,
    ) -> Turn:
        """The turn after its first run, or as somebody else had it before (its events up to a seq)."""
        owned = Owned(0, epoch=1, buckets=(0, 1023))
        owned.is_open = True
        history = [] if before is None else [row for row in (*before.history, *before.events) if row[0] <= until]
        turn = Turn(
            owned=owned,
            turn_id=uuid.uuid4() if before is None else before.turn_id,
            tenant="a",
            session_id=uuid.uuid4(),
            session_name="s",
            bucket=0,
            place=1,
            workflow="flow",
            priority=0,
            input=b"null",
            status=status,
            attempt=0 if before is None else before.attempt,
            seq=history[-1][0] if history else 0,
            version="1",
        )
        turn.history = [(seq, attempt, str(kind), key, data) for seq, attempt, kind, key, data in history]
        turn.resume = resume
        turn.waits = before.waits if before is not None and status is Status.SUSPENDED else None
        turn.signals = [Signal(uuid.uuid4(), name, b"1") for name in signals]
        self.scheduler.found(turn)
        self.executor.fill()
        return turn

    async def run(self, *args: Any, **kwargs: Any) -> Turn:
        turn = await self.begin(*args, **kwargs)
        assert turn.task is not None
        await asyncio.wait([turn.task], timeout=5)
        return turn


@pytest.fixture
async def runner(request: pytest.FixtureRequest) -> AsyncIterator[Callable[[Callable[..., Any]], Runner]]:
    runners: list[Runner] = []

    def make(function: Callable[..., Any]) -> Runner:
        runners.append(Runner(function))
        return runners[-1]

    yield make
    for each in runners:
        each.threads.shutdown(wait=False)


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 — what it waits for has no event
            await asyncio.sleep(0)


def opened(turn: Turn) -> int:
    return 0 if turn.channels is None else len(turn.channels.open())


def told(turn: Turn) -> list[tuple[str, str, Any]]:
    """(type, key, data) of the events written here."""
    return [(str(kind), key, msgspec.json.decode(data)) for _seq, _attempt, kind, key, data in turn.events]


def data_of(turn: Turn, kind: str) -> Any:
    found = next(data for each, _key, data in reversed(told(turn)) if each == kind)
    found.pop("took_ms", None)
    return found


def everything_shown(turn: Turn) -> str:
    """All that a client may be told of a turn."""
    events = [shown(str(kind), key, data) for _seq, _attempt, kind, key, data in (*turn.history, *turn.events)]
    return repr(events) + repr(turn.error)


async def chats(ctx: Context) -> None:
    """Says a, waits, says b, waits, says c."""
    emit("log", text="a")
    emit("state", json=1)
    await ctx.wait_signal("go")
    emit("log", text="b")
    await ctx.wait_signal("go")
    emit("log", text="c")


async def test_a_suspend_holds_what_has_changed_since_the_one_before_and_the_end_holds_all(runner: Any) -> None:
    turns = runner(chats)
    first = await turns.run()
    second = await turns.run(first, Status.SUSPENDED, signals=("go",))
    third = await turns.run(second, Status.SUSPENDED, signals=("go",))

    assert data_of(first, "turn.suspended") == {
        "channels": {"log": {"text": "a"}, "state": {"json": 1}},
        "emits": {"log": [1], "state": [1]},
    }
    assert data_of(second, "turn.suspended") == {
        "channels": {"log": {"text": "ab"}},
        "emits": {"log": [2], "state": [1]},
    }
    assert third.status is Status.COMPLETED
    assert data_of(third, "turn.completed") == {"channels": {"log": {"text": "abc"}, "state": {"json": 1}}}
    assert "emits" not in everything_shown(third)


async def test_what_the_code_says_while_it_is_suspended_is_said_at_its_end_alone(runner: Any) -> None:
    async def flow(ctx: Context) -> None:
        try:
            emit("log", text="a")
            await ctx.wait_signal("go")
        finally:
            emit("log", text="z")

    turns = runner(flow)
    first = await turns.run()
    last = await turns.run(first, Status.SUSPENDED, signals=("go",))

    assert data_of(first, "turn.suspended") == {"channels": {"log": {"text": "a"}}, "emits": {"log": [1]}}
    assert first.channels.open()[0].text() == "a"
    assert data_of(last, "turn.completed") == {"channels": {"log": {"text": "az"}}}


async def test_after_a_crash_filling_goes_on_from_the_last_suspend(runner: Any) -> None:
    go_on = asyncio.Event()

    async def flow(ctx: Context) -> None:
        emit("log", text="a")
        await ctx.wait_signal("go")
        emit("log", text="b")
        await ctx.run(until_released)
        emit("log", text="c")

    async def until_released() -> None:
        emit("tokens", text="half")
        await go_on.wait()

    turns = runner(flow)
    first = await turns.run()
    crashed = await turns.begin(first, Status.SUSPENDED, signals=("go",))
    await until(lambda: opened(crashed) == 2)
    again = await turns.begin(crashed, Status.RUNNING, Resume.CRASHED)
    await until(lambda: opened(again) == 2)
    log, tokens = again.channels.open()

    assert (log.text(), log.is_refilled, tokens.text()) == ("ab", False, "half")
    assert again.attempt == 2
    go_on.set()
    await asyncio.wait([again.task, crashed.task], timeout=5)
    assert data_of(again, "step.completed")["channels"] == {"tokens": {"text": "half"}}
    assert data_of(again, "turn.completed") == {"channels": {"log": {"text": "abc"}}}


async def test_at_a_new_owner_the_workflow_s_channels_are_filled_again_and_say_so(runner: Any) -> None:
    turns = runner(chats)
    first = await turns.run()
    second = await turns.run(first, Status.SUSPENDED, signals=("go",))
    before_suspend = second.seq - 2
    moved = await turns.run(second, Status.RUNNING, Resume.MOVED, until=before_suspend)

    assert moved.attempt == 1
    assert {channel.name: (channel.is_refilled, channel.length) for channel in moved.channels.open()} == {
        "log": (True, 2),
        "state": (True, 1),
    }


async def test_the_outcome_of_a_step_that_is_handed_over_has_its_channels(runner: Any) -> None:
    go_on = asyncio.Event()

    async def answer() -> int:
        emit("tokens", text="half ")
        await go_on.wait()
        emit("tokens", text="whole")
        return 1

    async def flow(ctx: Context) -> None:
        await ctx.run(answer)

    turns = runner(flow)
    turn = await turns.begin()
    await until(lambda: opened(turn) == 1)
    turn.stop = Stop.HANDOVER
    go_on.set()
    await until(lambda: turn.journal.outcomes)
    turn.task.cancel()

    (outcome,) = turn.journal.outcomes
    assert msgspec.json.decode(outcome.data)["channels"] == {"tokens": {"text": "half whole"}}


@pytest.mark.parametrize(
    ("why", "kind"), [(Stop.CANCEL, "turn.cancelled"), (Stop.EXPIRE, "turn.expired")], ids=["cancelled", "expired"]
)
async def test_a_turn_that_is_stopped_leaves_what_its_workflow_said(runner: Any, why: Stop, kind: str) -> None:
    async def flow(ctx: Context) -> None:
        emit("log", text="a")
        await asyncio.Event().wait()

    turns = runner(flow)
    turn = await turns.begin()
    await until(lambda: opened(turn) == 1)
    turns.executor.stop(turn, why)
    await asyncio.wait([turn.task], timeout=5)

    assert data_of(turn, kind) == {"channels": {"log": {"text": "a"}}}


async def test_a_turn_that_fails_leaves_what_its_workflow_said(runner: Any) -> None:
    async def flow(ctx: Context) -> None:
        emit("log", text="a")
        raise ValueError("no")

    turn = await runner(flow).run()

    assert data_of(turn, "turn.failed") == {"type": "ValueError", "message": "no", "channels": {"log": {"text": "a"}}}
    assert msgspec.json.decode(turn.error) == {"type": "ValueError", "message": "no"}


async def test_a_turn_that_emits_nothing_writes_what_it_always_wrote(runner: Any) -> None:
    async def flow(ctx: Context) -> None:
        await ctx.wait_signal("go")

    turns = runner(flow)
    first = await turns.run()
    last = await turns.run(first, Status.SUSPENDED, signals=("go",))

    assert data_of(first, "turn.suspended") == data_of(last, "turn.completed") == {}
    assert turns.asked == []


async def test_who_watches_is_asked_when_a_turn_begins_to_emit(runner: Any) -> None:
    def in_thread() -> None:
        emit("tokens", text="a")

    async def flow(ctx: Context) -> None:
        await ctx.run(in_thread)
        emit("log", text="a")

    turns = runner(flow)
    turn = await turns.run()

    assert turns.asked == [turn]


@step(private=True, retries=1, backoff_s=0.001, backoff_s_max=0.001)
async def pay_4711() -> None:
    emit("card_4711", text="4711")
    raise LookupError("card 4711")


async def test_nothing_of_a_private_step_that_failed_leaves(runner: Any) -> None:
    async def flow(ctx: Context) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(ctx.run(pay_4711))

    turns = runner(flow)
    waiting = await turns.run()
    wait = msgspec.json.decode(waiting.waits)[0]
    turn = await turns.begin(waiting, Status.SUSPENDED)
    turn.journal.fire(wait["key"], uuid.UUID(wait["timer_id"]))
    await asyncio.wait([turn.task], timeout=5)

    assert wait["private"] is True
    assert turn.status is Status.FAILED
    assert data_of(turn, "turn.failed") == {"type": "StepFailedError", "message": "a private step failed"}
    assert [kind for kind, _key, data in told(waiting) + told(turn) if "private" in data] == [
        "step.retrying",
        "wait.started",
        "wait.completed",
        "step.failed",
    ]
    assert data_of(turn, "step.failed")["message"] == "card 4711"
    seen = everything_shown(turn)
    assert "4711" not in seen
    assert "LookupError" not in seen


async def test_the_error_of_a_private_step_that_the_code_handles_is_the_code_s(runner: Any) -> None:
    @step(private=True)
    async def pay() -> None:
        raise LookupError("card 4711")

    async def flow(ctx: Context) -> str:
        try:
            await ctx.run(pay)
        except StepFailedError as error:
            return error.error_type
        return ""

    turn = await runner(flow).run()

    assert turn.result == b'"LookupError"'


async def test_a_private_step_that_parks_its_turn_is_not_named(runner: Any) -> None:
    @step(private=True, effect="at_most_once")
    async def pay_4711() -> None:
        await asyncio.Event().wait()

    async def flow(ctx: Context) -> None:
        await ctx.run(pay_4711)

    turns = runner(flow)
    crashed = await turns.begin()
    await until(lambda: "step.intended" in [kind for kind, *_ in told(crashed)])
    turn = await turns.run(crashed, Status.RUNNING, Resume.CRASHED)

    assert turn.status is Status.PARKED
    assert turn.events[-1].key == "pay_4711"
    assert "a private step is at_most_once" in everything_shown(turn)
    assert "4711" not in everything_shown(turn)
    resumed = await turns.begin(turn, Status.PARKED)
    await asyncio.sleep(0.01)
    assert resumed.status is Status.RUNNING
    for each in (crashed, resumed):
        turns.executor.stop(each, Stop.DROP)


@pytest.mark.parametrize("is_asked_private", [False, True])
async def test_a_private_step_that_the_code_no_longer_asks_for_is_not_named(
    runner: Any, is_asked_private: bool
) -> None:
    @step(private=True)
    async def pay_4711() -> int:
        return 1

    @step(name="refund_4712", private=is_asked_private)
    async def refund() -> int:
        return 1

    async def before(ctx: Context) -> None:
        await ctx.run(pay_4711)
        await ctx.wait_signal("go")

    async def after(ctx: Context) -> None:
        await ctx.run(refund)

    first = await runner(before).run()
    turn = await runner(after).run(first, Status.SUSPENDED, signals=("go",))

    assert turn.status is Status.PARKED
    message = msgspec.json.decode(turn.error)["message"]
    assert "the outcome of a private step" in message
    assert ("refund_4712" in message) is not is_asked_private
    assert "4711" not in everything_shown(turn)
