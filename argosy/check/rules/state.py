"""Finds changes of state outside the workflow, which other turns see and a replay at another worker does not have."""

import ast
from collections.abc import Iterator
from typing import Final

from argosy.check.finding import Found
from argosy.check.kinds import External, Object
from argosy.check.look import Look, spelled
from argosy.check.module import Class
from argosy.check.scope import Binding, Scope

_WHY: Final = (
    "which other turns of this process share and a replay elsewhere does not have: "
    "use a variable of the workflow, or what a step returns"
)
_CHANGING: Final = frozenset(
    {
        *("append", "appendleft", "add", "update", "extend", "extendleft", "insert", "setdefault", "pop", "popleft"),
        *("popitem", "remove", "discard", "clear", "sort", "reverse", "subtract", "rotate", "move_to_end"),
        *("difference_update", "intersection_update", "symmetric_difference_update"),
    }
)
_CONTAINERS: Final = frozenset(
    {
        *(f"builtins.{name}" for name in ("list", "dict", "set", "bytearray")),
        *(f"collections.{name}" for name in ("defaultdict", "deque", "Counter", "OrderedDict")),
    }
)


def shared_state(look: Look) -> Iterator[Found]:
    for node in look.nodes:
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) if _is_outer(name, look):
                yield look.found(node, "global-state", f"assigns to {name}, {_WHY}")
            case ast.Subscript(value=value, ctx=ast.Store() | ast.Del()) if _is_shared(value, look):
                yield look.found(node, "global-state", f"changes {spelled(value)}, {_WHY}")
            case ast.Attribute(value=value, ctx=ast.Store() | ast.Del()) if _is_class(value, look):
                yield look.found(node, "global-state", f"changes {spelled(node)}, {_WHY}")
            case ast.Call(func=ast.Attribute(value=value, attr=attr)) if attr in _CHANGING and _is_shared(value, look):
                yield look.found(node, "global-state", f"changes {spelled(value)}, {_WHY}")
            case ast.Call(func=func, args=[counter]) if look.meaning(func) == External("builtins.next"):
                if _owner(counter, look) is not None and look.is_object(counter, "itertools.count", "itertools.cycle"):
                    yield look.found(node, "global-state", f"takes the next of {spelled(counter)}, {_WHY}")


def _is_class(node: ast.AST, look: Look) -> bool:
    """Whether an expression is a class at the top level of its module, which exists once in the process."""
    meaning = look.meaning(node)
    return isinstance(meaning, Class) and meaning.scope.parent is meaning.module.scope


def _is_outer(name: str, look: Look) -> bool:
    """Whether the function declares the name global, or nonlocal and of a function that is no part of a workflow."""
    scope = look.function.scope
    if name in scope.globals:
        return True
    if name not in scope.nonlocals or scope.parent is None:
        return False
    owner = scope.parent.find(name)
    return owner is not None and owner not in {each.scope for each in look.reached}


def _is_shared(node: ast.AST, look: Look) -> bool:
    """Whether an expression is a container of the module, or one of a class that all of its objects share."""
    if isinstance(node, ast.Attribute):
        return _is_of_class(node, look)
    owner = _owner(node, look)
    return owner is not None and all(_is_container(each, look) for each in owner.bindings[getattr(node, "id", "")])


def _is_of_class(node: ast.Attribute, look: Look) -> bool:
    meaning = look.meaning(node.value)
    owner = meaning.of if isinstance(meaning, Object) else meaning
    if not isinstance(owner, Class) or owner.scope.parent is not owner.module.scope or node.attr in owner.attributes:
        return False
    bound = owner.scope.bindings.get(node.attr, [])
    return bool(bound) and all(isinstance(each.node, (ast.List, ast.Dict, ast.Set)) for each in bound)


def _owner(node: ast.AST, look: Look) -> Scope | None:
    """Return the module's scope when a node is a name of that scope, else None."""
    if not isinstance(node, ast.Name):
        return None
    owner = look.module.scopes.of_node[node].find(node.id)
    return owner if owner is look.module.scope else None


def _is_container(binding: Binding, look: Look) -> bool:
    if isinstance(binding.node, (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)):
        return True
    match look.meaning(binding.node) if binding.kind == "value" else None:
        case Object(of=str(of)):
            return of in _CONTAINERS
    return False
