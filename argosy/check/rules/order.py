"""Finds operations that run in the order of a set, which differs from process to process."""

import ast
from collections.abc import Iterator, Sequence
from typing import Final

from argosy.check.finding import Found
from argosy.check.kinds import External
from argosy.check.look import Look, spelled

_KEEPING: Final = frozenset(f"builtins.{name}" for name in ("list", "tuple", "iter", "enumerate", "reversed"))
_TASKS: Final = frozenset({"create_task", "ensure_future", "start_soon"})
_OF_TASK: Final = frozenset({"cancel", "result", "exception", "done", "cancelled", "add_done_callback"})
_WHY: Final = "in the order of a set, which is another one in another process: go through sorted(…), or keep a list"


def set_orders(look: Look) -> Iterator[Found]:
    for node in look.nodes:
        match node:
            case ast.For(iter=each, target=target, body=body) | ast.AsyncFor(iter=each, target=target, body=body):
                if _decides(each, target, body, look):
                    yield look.found(each, "set-order", f"runs operations {_WHY}")
            case ast.ListComp(elt=elt, generators=parts) | ast.GeneratorExp(elt=elt, generators=parts):
                for part in parts:
                    if _decides(part.iter, part.target, [elt], look):
                        yield look.found(part.iter, "set-order", f"begins operations {_WHY}")
            case ast.Call(func=ast.Attribute(value=value, attr="pop") as func, args=[], keywords=[]):
                loop = next((each for each in look.module.ancestors(node) if isinstance(each, ast.While)), None)
                if loop is not None and _decides(value, None, loop.body, look):
                    yield look.found(node, "set-order", f"{spelled(func)}() takes what operations get {_WHY}")


def _decides(each: ast.expr, target: ast.expr | None, body: Sequence[ast.AST], look: Look) -> bool:
    """Whether operations of `body` run in the order of a set."""
    if not _is_unordered(each, look) or _is_of_tasks(each, target, body, look):
        return False
    return any(look.starts_something(node) for part in body for node in ast.walk(part) if node in look.own_nodes)


def _is_unordered(node: ast.expr, look: Look) -> bool:
    match node:
        case ast.Call(func=func, args=[first, *_]) if _named(func, look) in _KEEPING:
            return _is_unordered(first, look)
    return look.is_object(node, "builtins.set") and not _is_of_numbers(node, look)


def _named(node: ast.expr, look: Look) -> str:
    meaning = look.meaning(node)
    return meaning.name if isinstance(meaning, External) else ""


def _is_of_numbers(node: ast.expr, look: Look) -> bool:
    """Whether a set has only whole numbers, whose order is the same in every process: {1, 2}, set([1, 2]),
    set(range(3)), or annotated as set[int].
    """
    made = next(iter(_makers(node, look)), None)
    if isinstance(node, ast.Name) and (scope := look.module.scopes.of_node[node].find(node.id)) is not None:
        for binding in scope.bindings[node.id]:
            match binding.annotation:
                case ast.Subscript(slice=kind) if _named(kind, look) == "builtins.int":
                    return True
    match made:
        case ast.Call(args=[ast.Call(func=func)]):
            return _named(func, look) == "builtins.range"
        case ast.Set(elts=each) | ast.Call(args=[ast.List(elts=each) | ast.Tuple(elts=each)]):
            return all(isinstance(number, ast.Constant) and isinstance(number.value, int) for number in each)
    return False


def _makers(node: ast.expr, look: Look) -> Iterator[ast.AST]:
    """Yield the expressions that a name is bound to; for another expression, the expression itself."""
    if not isinstance(node, ast.Name):
        yield node
        return
    scope = look.module.scopes.of_node[node].find(node.id)
    for binding in scope.bindings[node.id] if scope is not None else ():
        if binding.node is not None:
            yield binding.node


def _is_of_tasks(node: ast.expr, target: ast.expr | None, body: Sequence[ast.AST], look: Look) -> bool:
    """Whether this is a set of tasks. Its order is the same in every process, because the hash of a task is its number,
    and tasks are numbered in the order in which they are made.
    """
    if any(_has_task(made, look) for made in _makers(node, look)):
        return True
    if isinstance(node, ast.Name):
        for call in look.calls:
            match call:
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="add" | "update"), args=[given]):
                    if name == node.id and any(_has_task(made, look) for made in _makers(given, look)):
                        return True
    return isinstance(target, ast.Name) and any(_treats_as_task(part, target.id) for part in body)


def _has_task(made: ast.AST, look: Look) -> bool:
    """Whether an expression makes tasks, or has a name that is bound to tasks."""
    parts = list(ast.walk(made))
    names = [each for each in parts if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load)]
    parts += [part for name in names for maker in _makers(name, look) for part in ast.walk(maker)]
    return any(_makes_task(each) for each in parts)


def _makes_task(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, (ast.Attribute, ast.Name))
        and ((node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id) in _TASKS)
    )


def _treats_as_task(body: ast.AST, name: str) -> bool:
    for node in ast.walk(body):
        match node:
            case ast.Await(value=ast.Name(id=awaited)) if awaited == name:
                return True
            case ast.Attribute(value=ast.Name(id=used), attr=attr) if used == name and attr in _OF_TASK:
                return True
    return False
