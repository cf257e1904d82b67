"""Finds code that catches a cancel in a loop, so that the turn goes on until it is abandoned."""

import ast
from collections.abc import Iterator, Sequence
from typing import Final

from argosy.check.finding import Found
from argosy.check.kinds import SYNC_CONTEXT, External
from argosy.check.look import Look, spelled

_CANCELS: Final = frozenset({"asyncio.CancelledError", "asyncio.exceptions.CancelledError"})
_ALL: Final = "builtins.BaseException"
_WHY: Final = "also catches a cancel, so that the loop goes on until the turn is abandoned; catch Exception, or raise"


def swallowed_cancels(look: Look) -> Iterator[Found]:
    for node in look.nodes:
        match node:
            case ast.Try(body=body, handlers=handlers) | ast.TryStar(body=body, handlers=handlers):
                if _is_in_loop(node, look) and _may_be_cancelled(body, look):
                    yield from _handlers(handlers, look)
            case ast.With(items=items, body=body) | ast.AsyncWith(items=items, body=body):
                if _is_in_loop(node, look) and _may_be_cancelled(body, look):
                    yield from _suppressions(items, look)


def _handlers(handlers: Sequence[ast.ExceptHandler], look: Look) -> Iterator[Found]:
    for handler in handlers:
        if not _catches(handler.type, look):
            continue
        if not _leaves(handler):
            said = (
                f"except {spelled(handler.type)}"
                if handler.type and not isinstance(handler.type, ast.Tuple)
                else "except"
            )
            yield look.found(handler, "swallowed-cancel", f"`{said}` {_WHY}")
        return  # Python runs only the first handler that catches it


def _suppressions(items: Sequence[ast.withitem], look: Look) -> Iterator[Found]:
    for item in items:
        call = item.context_expr
        if not isinstance(call, ast.Call) or look.meaning(call.func) != External("contextlib.suppress"):
            continue
        if any(_catches(each, look) for each in call.args):
            yield look.found(call, "swallowed-cancel", f"{spelled(call.func)}() {_WHY}")


def _catches(kind: ast.expr | None, look: Look) -> bool:
    if kind is None:
        return True
    if isinstance(kind, ast.Tuple):
        return any(_catches(each, look) for each in kind.elts)
    meaning = look.meaning(kind)
    return isinstance(meaning, External) and (meaning.name == _ALL or meaning.name in _CANCELS)


def _leaves(handler: ast.ExceptHandler) -> bool:
    """Whether a handler may raise an exception or leave the loop."""
    return any(isinstance(node, (ast.Raise, ast.Return, ast.Break)) for part in handler.body for node in ast.walk(part))


def _is_in_loop(node: ast.AST, look: Look) -> bool:
    return any(isinstance(each, (ast.While, ast.For, ast.AsyncFor)) for each in look.module.ancestors(node))


def _may_be_cancelled(body: Sequence[ast.stmt], look: Look) -> bool:
    """Whether this code waits for something that it starts itself, so that a cancel can reach it there."""
    parts = [node for part in body for node in ast.walk(part) if node in look.own_nodes]
    if not look.workflow.is_async:
        return any(look.operation(node, SYNC_CONTEXT) for node in parts)
    if any(isinstance(node, (ast.AsyncWith, ast.AsyncFor)) for node in parts):
        return True
    # A task that was started elsewhere may raise because it was itself cancelled: only awaits of calls count.
    return any(isinstance(node, ast.Await) and isinstance(node.value, ast.Call) for node in parts)
