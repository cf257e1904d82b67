"""Random workflows: nested branches, races, time-outs, waits, errors and cancels, made of a few bytes.

A program is a tree of tuples; `PROGRAM` is the workflow that does what the tree says and writes down what it sees.
The byte 0 chooses what is simplest everywhere, so shorter bytes with more zeros make simpler programs.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextvars import ContextVar
from typing import Any, Protocol

from argosy import Context, step, workflow
from argosy.workflow.definition import workflow_of

Node = tuple[Any, ...]

_LEAVES = (
    *("step", "step", "step", "fails", "retried", "loose", "sleep", "ctx_sleep", "signal", "signal", "now", "uuid"),
    *("time", "raise", "put", "get", "set", "wait_event", "notify", "wait_condition", "variable", "spawn_sleeper"),
)
_BRANCHES = (
    *("sequence", "sequence", "gather", "gather", "gather_errors", "first", "first_error", "all", "as_completed"),
    *("group", "later", "later", "timeout", "timeout", "wait_for", "wait_for", "shield", "guard", "guard", "guard"),
    *("finally", "swallow", "lock", "semaphore", "with_variable", "generator", "loop", "left_behind", "future"),
)
_DELAYS_S = (0.5, 1.0, 0.0, 30.0)
_DEPTH_MAX = 4
_NODES_MAX = 30

VARIABLE: ContextVar[int] = ContextVar("variable", default=0)


class Choices:
    """Reads choices from bytes; 0 when there are no more."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def below(self, bound: int) -> int:
        self._at += 1
        return self._data[self._at - 1] % bound if self._at <= len(self._data) else 0

    @property
    def is_empty(self) -> bool:
        return self._at >= len(self._data)


class _Maker:
    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        self._nodes = 0

    def node(self, depth: int) -> Node:
        self._nodes += 1
        below, number = self._choices.below, self._nodes
        if depth >= _DEPTH_MAX or self._nodes >= _NODES_MAX or (below(5) < depth and number > 1):
            kind = _LEAVES[below(len(_LEAVES))]
            return (kind, number, below(4))
        kind = _BRANCHES[below(len(_BRANCHES))]
        option = below(4)
        if kind in ("later", "finally", "swallow", "guard"):
            size = 2
        elif kind in ("timeout", "wait_for", "shield", "lock", "semaphore", "with_variable", "loop", "left_behind"):
            size = 1
        else:
            size = 1 + below(5)
        return (kind, number, option, *(self.node(depth + 1) for _ in range(size)))


def program_of(data: bytes) -> Node:
    return _Maker(Choices(data)).node(0)


class Host(Protocol):
    """Who runs programs: their steps and what they see."""

    program: Node

    def saw(self, *what: Any) -> None: ...
    async def work(self, fails: int) -> str:
        """Of a step: ends when the host says so, with its key. fails: so many tries raise."""
        ...


HOSTS: list[Host] = []  # the last one is it


class ToldError(Exception):
    """What programs and their steps raise."""


@step
async def work(number: int) -> str:
    VARIABLE.set(-number)
    return await HOSTS[-1].work(0)


@step
async def fails(number: int, told: dict[str, Any]) -> str:
    told["changed"] = number
    return await HOSTS[-1].work(9)


@step(retries=2)
async def retried(number: int) -> str:
    return await HOSTS[-1].work(number % 3 + 1)


@step
async def loose(number: int) -> str:
    """Takes no cancellation."""
    try:
        return await HOSTS[-1].work(0)
    except asyncio.CancelledError:
        return "loose"


class Scene:
    """What the branches of one run share."""

    def __init__(self, ctx: Context, host: Host) -> None:
        self.ctx = ctx
        self.saw = host.saw
        self.queue: asyncio.Queue[int] = asyncio.Queue()
        self.event = asyncio.Event()
        self.lock = asyncio.Lock()
        self.semaphore = asyncio.Semaphore(2)
        self.condition = asyncio.Condition()
        self.left: list[asyncio.Task[Any]] = []
        self.time_s = 1_700_000_000.0

    async def go(self, node: Node) -> Any:
        kind, number, option, *children = node
        branches = [partial_go(self, child) for child in children]
        try:
            value = await _DO[kind](self, number, option, branches)
        except BaseException as error:
            self.saw("raised", kind, number, type(error).__name__, str(error)[:60])
            raise
        self.saw("did", kind, number, value)
        return value


Branch = Callable[[], Coroutine[Any, Any, Any]]


def partial_go(scene: Scene, node: Node) -> Branch:
    return lambda: scene.go(node)


@workflow(name="program")
async def _program(ctx: Context) -> Any:
    host = HOSTS[-1]
    scene = Scene(ctx, host)
    try:
        value = await scene.go(host.program)
    except Exception as error:
        value = str(error)
    if host.program[2] == 1:
        value = [value, await ctx.run(work, 0), await asyncio.gather(*scene.left, return_exceptions=True)]
    return repr(value)


PROGRAM = workflow_of(_program)


# Leaves


async def _step(s: Scene, number: int, option: int, _: list[Branch]) -> Any:
    key = await s.ctx.run(work, number)
    s.saw("outcome", key)
    return [key, VARIABLE.get()]


async def _fails(s: Scene, number: int, option: int, _: list[Branch]) -> Any:
    told: dict[str, Any] = {}
    try:
        return await s.ctx.run(fails, number, told)
    except Exception as error:
        s.saw("outcome", str(error))
        if option < 3:
            return [str(error), told]
        raise


async def _retried(s: Scene, number: int, option: int, _: list[Branch]) -> Any:
    try:
        key = await s.ctx.run(retried, number)
    except Exception as error:
        s.saw("outcome", str(error))
        raise
    s.saw("outcome", key)
    return key


async def _loose(s: Scene, number: int, option: int, _: list[Branch]) -> Any:
    key = await s.ctx.run(loose, number)
    s.saw("outcome", key)
    return key


async def _sleep(s: Scene, number: int, option: int, _: list[Branch]) -> Any:
    return await asyncio.sleep(_DELAYS_S[option], number)


async def _ctx_sleep(s: Scene, number: int, option: int, _: list[Branch]) -> Any:
    return await s.ctx.sleep(_DELAYS_S[option])


async def _signal(s: Scene, number: int, option: int, _: list[Branch]) -> Any:
    name = "ab"[option % 2]
    try:
        return await s.ctx.wait_signal(name, None if option < 2 else 1.0)
    except Exception as error:
        return str(error)


async def _now(s: Scene, number: int, option: int, _: list[Branch]) -> Any:
    return str(await s.ctx.now())


async def _uuid(s: Scene, number: int, option: int, _: list[Branch]) -> Any:
    return str(await s.ctx.uuid())


async def _time(s: Scene, number: int, option: int, _: list[Branch]) -> Any:
    now_s = asyncio.get_running_loop().time()
    s.saw("time", now_s, now_s >= s.time_s)
    s.time_s = now_s
    return now_s


async def _raise(s: Scene, number: int, option: int, _: list[Branch]) -> Any:
    if option == 3:
        raise asyncio.CancelledError
    raise ToldError(str(number))


async def _put(s: Scene, number: int, option: int, _: list[Branch]) -> Any:
    await s.queue.put(number)


async def _at_most(option: int, code: Coroutine[Any, Any, Any]) -> Any:
    """What the code comes to, but for option 3 within a bound."""
    if option == 3:
        return await code
    try:
        async with asyncio.timeout(1.0):
            return await code
    except TimeoutError:
        return "nothing"


async def _get(s: Scene, number: int, option: int, _: list[Branch]) -> Any:
    return await _at_most(option, s.queue.get())


async def _set(s: Scene, number: int, option: int, _: list[Branch]) -> Any:
    s.event.set()


async def _wait_event(s: Scene, number: int, option: int, _: list[Branch]) -> Any:
    return await _at_most(option, s.event.wait())


async def _notify(s: Scene, number: int, option: int, _: list[Branch]) -> Any:
    async with s.condition:
        s.condition.notify(option + 1)


async def _wait_condition(s: Scene, number: int, option: int, _: list[Branch]) -> Any:
    async with s.condition:
        return await _at_most(option, s.condition.wait())


async def _variable(s: Scene, number: int, option: int, _: list[Branch]) -> Any:
    before = VARIABLE.get()
    VARIABLE.set(number)
    return before


async def _spawn_sleeper(s: Scene, number: int, option: int, _: list[Branch]) -> Any:
    s.left.append(asyncio.create_task(s.go(("sleep", -number, option))))


# Branches


async def _sequence(s: Scene, number: int, option: int, branches: list[Branch]) -> Any:
    return [await branch() for branch in branches]


async def _gather(s: Scene, number: int, option: int, branches: list[Branch]) -> Any:
    return await asyncio.gather(*(branch() for branch in branches))


async def _gather_errors(s: Scene, number: int, option: int, branches: list[Branch]) -> Any:
    return [
        repr(each) if isinstance(each, BaseException) else each
        for each in await asyncio.gather(*(branch() for branch in branches), return_exceptions=True)
    ]


def _wait(when: str) -> Any:
    async def wait(s: Scene, number: int, option: int, branches: list[Branch]) -> Any:
        tasks = {asyncio.create_task(branch()): index for index, branch in enumerate(branches)}
        done, left = await asyncio.wait(tasks, return_when=when, timeout=1.0 if option == 1 else None)
        s.saw("won", number, [tasks[each] for each in done], [tasks[each] for each in left])
        if option < 3:
            for each in left:
                each.cancel()
        else:
            s.left.extend(left)
        if option == 2:
            await asyncio.gather(*left, return_exceptions=True)
        return [await each for each in done]

    return wait


async def _as_completed(s: Scene, number: int, option: int, branches: list[Branch]) -> Any:
    found = []
    for each in asyncio.as_completed([branch() for branch in branches], timeout=1.0 if option == 1 else None):
        found.append(await each)
        s.saw("came", number, len(found), found[-1])
        if option == 2 and len(found) == 2:
            break
    return found


async def _group(s: Scene, number: int, option: int, branches: list[Branch]) -> Any:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(branch()) for branch in branches]
        if option == 1:
            await s.ctx.sleep(1.0)
            tasks[0].cancel()
    return [None if each.cancelled() else each.result() for each in tasks]


async def _later(s: Scene, number: int, option: int, branches: list[Branch]) -> Any:
    task = asyncio.create_task(branches[0]())
    try:
        value = await branches[1]()
        if option in (1, 2):
            task.cancel(f"of {number}")
        return [value, await task]
    except asyncio.CancelledError:
        if option != 2:
            raise
        return "cancelled"


async def _timeout(s: Scene, number: int, option: int, branches: list[Branch]) -> Any:
    try:
        async with asyncio.timeout(None if option == 3 else _DELAYS_S[option]) as timeout:
            if option == 3:
                timeout.reschedule(asyncio.get_running_loop().time() + 2.0)
            return await branches[0]()
    except TimeoutError:
        s.saw("too late", number)
        return "too late"


async def _wait_for(s: Scene, number: int, option: int, branches: list[Branch]) -> Any:
    try:
        return await asyncio.wait_for(branches[0](), _DELAYS_S[option])
    except TimeoutError:
        s.saw("too late", number)
        return "too late"


async def _shield(s: Scene, number: int, option: int, branches: list[Branch]) -> Any:
    task = asyncio.create_task(branches[0]())
    try:
        async with asyncio.timeout(1.0 if option else None):
            return await asyncio.shield(task)
    except TimeoutError:
        return await task if option == 1 else "goes on"


async def _guard(s: Scene, number: int, option: int, branches: list[Branch]) -> Any:
    try:
        return await branches[0]()
    except Exception as error:
        s.saw("caught", number, type(error).__name__)
        return await branches[1]()


async def _finally(s: Scene, number: int, option: int, branches: list[Branch]) -> Any:
    try:
        return await branches[0]()
    finally:
        s.saw("at last", number)
        await branches[1]()


async def _swallow(s: Scene, number: int, option: int, branches: list[Branch]) -> Any:
    try:
        return await branches[0]()
    except asyncio.CancelledError:
        s.saw("swallowed", number)
        return await branches[1]()


async def _locked(s: Scene, number: int, option: int, branches: list[Branch]) -> Any:
    async with s.lock:
        return await branches[0]()


async def _with_semaphore(s: Scene, number: int, option: int, branches: list[Branch]) -> Any:
    async with s.semaphore:
        return await branches[0]()


async def _with_variable(s: Scene, number: int, option: int, branches: list[Branch]) -> Any:
    token = VARIABLE.set(number)
    try:
        value = await branches[0]()
        return [VARIABLE.get(), value]
    finally:
        VARIABLE.reset(token)


async def _yielding(s: Scene, number: int, branches: list[Branch]) -> AsyncIterator[Any]:
    try:
        for branch in branches:
            yield await branch()
    finally:
        s.saw("generator ends", number)
        await s.ctx.sleep(0.5)


async def _generator(s: Scene, number: int, option: int, branches: list[Branch]) -> Any:
    found = []
    async for each in _yielding(s, number, branches):
        found.append(each)
        if option == 2:
            break
    return found


async def _loop(s: Scene, number: int, option: int, branches: list[Branch]) -> Any:
    return [await branches[0]() for _ in range(2)]


async def _left_behind(s: Scene, number: int, option: int, branches: list[Branch]) -> Any:
    s.left.append(asyncio.create_task(branches[0]()))


async def _future(s: Scene, number: int, option: int, branches: list[Branch]) -> Any:
    future = asyncio.get_running_loop().create_future()

    def settle(task: asyncio.Task[Any]) -> None:
        if not future.done():
            future.set_result("cancelled" if task.cancelled() else str(task.exception() or task.result()))

    for branch in branches:
        asyncio.create_task(branch()).add_done_callback(settle)
    return await future


_DO: dict[str, Callable[[Scene, int, int, list[Branch]], Coroutine[Any, Any, Any]]] = {
    "step": _step,
    "fails": _fails,
    "retried": _retried,
    "loose": _loose,
    "sleep": _sleep,
    "ctx_sleep": _ctx_sleep,
    "signal": _signal,
    "now": _now,
    "uuid": _uuid,
    "time": _time,
    "raise": _raise,
    "put": _put,
    "get": _get,
    "set": _set,
    "wait_event": _wait_event,
    "notify": _notify,
    "wait_condition": _wait_condition,
    "variable": _variable,
    "spawn_sleeper": _spawn_sleeper,
    "sequence": _sequence,
    "gather": _gather,
    "gather_errors": _gather_errors,
    "first": _wait(asyncio.FIRST_COMPLETED),
    "first_error": _wait(asyncio.FIRST_EXCEPTION),
    "all": _wait(asyncio.ALL_COMPLETED),
    "as_completed": _as_completed,
    "group": _group,
    "later": _later,
    "timeout": _timeout,
    "wait_for": _wait_for,
    "shield": _shield,
    "guard": _guard,
    "finally": _finally,
    "swallow": _swallow,
    "lock": _locked,
    "semaphore": _with_semaphore,
    "with_variable": _with_variable,
    "generator": _generator,
    "loop": _loop,
    "left_behind": _left_behind,
    "future": _future,
}
