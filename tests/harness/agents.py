"""Agent loops in the ways in which frameworks write them, as workflows: the calls of the model and of tools are steps,
and everything else is as it stands there. By `go` a person says that the agent may go on.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

import anyio
from anyio.streams.memory import MemoryObjectSendStream

from argosy import Context, StepFailedError, step, workflow

Message = dict[str, Any]

SLOW_S = 5.0  # what is given up on a real fleet

_ASKS: Final = (
    [{"tool": "weather", "of": "Oslo", "takes_s": 0.3}, {"tool": "weather", "of": "Rome", "takes_s": 0.05}],
    [{"tool": "map", "of": "Rome", "takes_s": 0.05}, {"tool": "broken", "of": "Rome", "takes_s": 0.15}],
)


@step
async def model(messages: list[Message]) -> Message:
    """Stands for a language model: it asks for tools twice, then it answers."""
    await asyncio.sleep(0.05)
    said = sum(each["role"] == "assistant" for each in messages)
    if said < len(_ASKS):
        return {"role": "assistant", "calls": _ASKS[said]}
    return {"role": "assistant", "text": f"after {len(messages)} messages: go to Rome"}


@step
async def tool(call: dict[str, Any]) -> str:
    await asyncio.sleep(call["takes_s"])
    if call["tool"] == "broken":
        raise LookupError(f"no {call['tool']}")
    return f"{call['tool']} of {call['of']}"


@step
async def judge(text: str, takes_s: float = 0.02) -> str:
    """Stands for a guardrail."""
    await asyncio.sleep(takes_s)
    if "forbidden" in text:
        raise PermissionError(text)
    return "fine"


# Nodes of a graph, walked by an iterator; the tools that a model asks for run at once and are taken as they come; what
# belongs to the run is in a context variable.


@dataclass
class _Run:
    messages: list[Message] = field(default_factory=list)
    arrived: list[str] = field(default_factory=list)
    depth: int = 0


_current_run: ContextVar[_Run] = ContextVar("current_run")


@contextmanager
def _as_current(run: _Run) -> Iterator[_Run]:
    token = _current_run.set(run)
    try:
        yield run
    finally:
        _current_run.reset(token)


async def _call_tools(ctx: Context, calls: list[dict[str, Any]]) -> AsyncIterator[tuple[int, str]]:
    async def call_one(call: dict[str, Any]) -> str:
        try:
            return await ctx.run(tool, call)
        except StepFailedError as error:
            return f"retry: {error}"
        finally:
            _current_run.get().depth += 1

    tasks = [asyncio.create_task(call_one(call), name=call["of"]) for call in calls]
    pending = set(tasks)
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            yield tasks.index(task), task.result()


class _Nodes:
    def __init__(self, ctx: Context, run: _Run) -> None:
        self._ctx = ctx
        self._run = run
        self._node: Any = "request"

    def __aiter__(self) -> "_Nodes":
        return self

    async def __anext__(self) -> str:
        node, run = self._node, self._run
        if node == "request":
            answer = await self._ctx.run(model, run.messages)
            run.messages.append(answer)
            self._node = "tools" if "calls" in answer else "end"
        elif node == "tools":
            calls = run.messages[-1]["calls"]
            results: dict[int, str] = {}
            async for index, result in _call_tools(self._ctx, calls):
                run.arrived.append(result)
                results[index] = result
            run.messages += [{"role": "tool", "text": results[index]} for index in range(len(calls))]
            self._node = "request"
        else:
            raise StopAsyncIteration
        return str(node)


@asynccontextmanager
async def _iterate(ctx: Context, prompt: str) -> AsyncIterator[tuple[_Run, _Nodes]]:
    run = _Run([{"role": "user", "text": prompt}])
    with _as_current(run):
        yield run, _Nodes(ctx, run)


@workflow
async def agent_of_nodes(ctx: Context) -> list[Any]:
    async with _iterate(ctx, "where to?") as (run, nodes):
        walked = []
        async for node in nodes:
            walked.append(node)
            if len(walked) == 3:
                await ctx.wait_signal("go")
        return [walked, run.arrived, run.messages[-1]["text"], _current_run.get().depth]


# A runner in the background fills a queue, from which its events are read as they come; guardrails run beside the first
# call of the model; tools are gathered; spans nest by a context variable.


_current_span: ContextVar[str] = ContextVar("current_span", default="")


class _Span:
    def __init__(self, name: str, spans: list[str]) -> None:
        self._name = name
        self._spans = spans

    def __enter__(self) -> None:
        name = f"{_current_span.get()}/{self._name}"
        self._spans.append(name)
        self._token = _current_span.set(name)

    def __exit__(self, *_: object) -> None:
        _current_span.reset(self._token)


class _Runner:
    def __init__(self, ctx: Context, prompt: str) -> None:
        self.spans: list[str] = []
        self._ctx = ctx
        self._messages: list[Message] = [{"role": "user", "text": prompt}]
        self._queue: asyncio.Queue[Any] = asyncio.Queue()
        self._task = asyncio.create_task(self._work())

    async def events(self) -> AsyncIterator[str]:
        while (event := await self._queue.get()) is not None:
            yield event
        await self._task

    async def _work(self) -> None:
        try:
            with _Span("agent", self.spans):
                first = asyncio.create_task(self._ask())
                try:
                    await asyncio.gather(*(self._guard(takes_s) for takes_s in (0.02, 0.04)))
                except StepFailedError as error:
                    first.cancel()
                    self._queue.put_nowait(f"refused: {error}")
                    return
                answer = await first
                while "calls" in answer:
                    results = await asyncio.gather(
                        *(self._use(call) for call in answer["calls"]), return_exceptions=True
                    )
                    self._messages += [{"role": "tool", "text": str(each)} for each in results]
                    self._queue.put_nowait("; ".join(map(str, results)))
                    answer = await self._ask()
                await self._ctx.wait_signal("go")
                self._queue.put_nowait(answer["text"])
        finally:
            self._queue.put_nowait(None)

    async def _ask(self) -> Message:
        with _Span("model", self.spans):
            answer = await self._ctx.run(model, self._messages)
        self._messages.append(answer)
        return answer

    async def _guard(self, takes_s: float) -> None:
        with _Span("guardrail", self.spans):
            await self._ctx.run(judge, self._messages[0]["text"], takes_s)

    async def _use(self, call: dict[str, Any]) -> str:
        with _Span(call["tool"], self.spans):
            return await self._ctx.run(tool, call)


@workflow
async def agent_of_events(ctx: Context) -> list[Any]:
    runner = _Runner(ctx, "where to?")
    told = [event async for event in runner.events()]
    refused = _Runner(ctx, "something forbidden")
    told += [event async for event in refused.events()]
    return [told, runner.spans, refused.spans]


# anyio: task groups, cancel scopes, time limits, memory object streams.


@workflow
async def agent_of_anyio(ctx: Context) -> list[Any]:
    send, receive = anyio.create_memory_object_stream[str](1)
    limiter = anyio.CapacityLimiter(2)
    arrived: list[str] = []

    async def use(call: dict[str, Any], results: MemoryObjectSendStream[str]) -> None:
        async with results, limiter:
            try:
                with anyio.fail_after(1.0):
                    await results.send(await ctx.run(tool, call))
            except (StepFailedError, TimeoutError) as error:
                await results.send(type(error).__name__)

    async with anyio.create_task_group() as group, send:
        for of, takes_s in (("Oslo", SLOW_S), ("Rome", 0.05), ("Nice", 0.1), ("Bern", 0.15)):
            call = {"tool": "broken" if of == "Nice" else "map", "of": of, "takes_s": takes_s}
            group.start_soon(use, call, send.clone())
        send.close()
        async for result in receive:
            arrived.append(result)

    with anyio.move_on_after(0.2) as limit:
        await ctx.run(tool, {"tool": "map", "of": "everything", "takes_s": SLOW_S})
    fallback = await ctx.run(tool, {"tool": "map", "of": "Oslo", "takes_s": 0.05})

    reminded: list[str] = []

    async def remind() -> None:
        try:
            while True:
                await anyio.sleep(0.25)
                reminded.append(await ctx.run(judge, "a reminder"))
        finally:
            with anyio.CancelScope(shield=True):
                reminded.append(await ctx.run(judge, "the last reminder"))

    async with anyio.create_task_group() as group:
        group.start_soon(remind)
        approval = await ctx.wait_signal("go")
        group.cancel_scope.cancel()
    return [arrived, limit.cancelled_caught, fallback, approval, reminded[-1]]
