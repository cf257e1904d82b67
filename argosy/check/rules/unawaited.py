"""Finds operations that are made but never awaited, which silently never run, and tasks that are dropped."""

import ast
from collections.abc import Iterator
from typing import Final

from argosy.check.declared import STEP, is_declared, is_opaque
from argosy.check.finding import Found
from argosy.check.kinds import CONTEXT, Bound, External, Member
from argosy.check.look import Look, spelled
from argosy.check.module import Function

_COROUTINES: Final = frozenset(f"asyncio.{name}" for name in ("sleep", "wait_for", "wait", "open_connection"))
_METHODS: Final = {
    "asyncio.Event": ("wait",),
    "asyncio.Queue": ("get", "put", "join"),
    "asyncio.Condition": ("wait", "wait_for", "acquire"),
    "asyncio.Lock": ("acquire",),
    "asyncio.Semaphore": ("acquire",),
}
_TASKS: Final = frozenset({"asyncio.create_task", "asyncio.ensure_future", "asyncio.gather"})


def unawaited(look: Look) -> Iterator[Found]:
    if not look.workflow.is_async:
        return
    for call in look.calls:
        said = f"{spelled(call.func)}(…)"
        if _is_coroutine(call, look):
            if _is_dropped(call, look):
                yield look.found(call, "unawaited", f"{said} is never awaited, so it never runs: write await {said}")
            elif _is_misused(call, look):
                yield look.found(
                    call, "unawaited", f"{said} is used without await, before it has run: write await {said}"
                )
        elif _is_task(call, look) and _is_dropped(call, look):
            why = "nobody keeps it: it is given up when the workflow returns; keep it and await it, or use a TaskGroup"
            yield look.found(call, "dropped-task", f"{said} starts a task, and {why}")


def _is_coroutine(call: ast.Call, look: Look) -> bool:
    if look.operation(call, CONTEXT):
        return True
    match look.meaning(call.func):
        case External(name=name):
            return name in _COROUTINES
        case Member(of=of, path=(method,)):
            return method in _METHODS.get(of, ())
        case Function() as function:
            return _is_plain_coroutine(function, look)
        case Bound(function=function):
            return _is_plain_coroutine(function, look)
    return False


def _is_plain_coroutine(function: Function, look: Look) -> bool:
    """Whether a call of this function returns a coroutine. False for a step, which another rule reports, and for a
    function with an unknown decorator, which may return anything.
    """
    if not function.is_async or function.is_generator or is_opaque(function, look.meanings):
        return False
    return not is_declared(function, STEP, look.meanings)


def _is_task(call: ast.Call, look: Look) -> bool:
    match look.meaning(call.func):
        case External(name=name):
            return name in _TASKS
        case Member(of="asyncio.AbstractEventLoop", path=("create_task",)):
            return True
    return False


def _is_dropped(call: ast.Call, look: Look) -> bool:
    """Whether a call is a statement of its own, or its result is bound to a name that is never read."""
    match look.module.parent(call):
        case ast.Expr():
            return True
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            scope = look.function.scope
            is_outer = name in scope.globals or name in scope.nonlocals
            return not is_outer and not look.module.is_used(scope, name)
    return False


def _is_misused(call: ast.Call, look: Look) -> bool:
    """Whether the operation itself is used where only its result makes sense."""
    match look.module.parent(call):
        case ast.Attribute(attr=attr):
            return attr not in ("send", "throw", "close") and not attr.startswith(("cr_", "__"))
        case ast.Subscript(value=value):
            return value is call
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
            return test is call
        case ast.Return():
            return look.function is look.workflow
        case ast.Compare() | ast.BinOp() | ast.UnaryOp() | ast.FormattedValue():
            return True
    return False
