"""Finds which functions are workflows and which are steps, under whatever names a file imports the decorators."""

import ast
from collections.abc import Iterator
from typing import Final

from argosy.check.kinds import External, Meaning, Object
from argosy.check.meaning import Meanings
from argosy.check.module import Function, Module

WORKFLOW: Final = "argosy.workflow"
STEP: Final = "argosy.step"
# Decorators that do not change which function runs when the decorated name is called.
_TRANSPARENT: Final = frozenset(
    {
        *(f"builtins.{name}" for name in ("staticmethod", "classmethod", "property")),
        *(f"functools.{name}" for name in ("cache", "lru_cache", "wraps")),
        *(f"contextlib.{name}" for name in ("contextmanager", "asynccontextmanager")),
        *(f"typing.{name}" for name in ("override", "final", "no_type_check")),
        "abc.abstractmethod",
    }
)


def is_declared(function: Function, kind: str, meanings: Meanings) -> bool:
    """Whether the function has this decorator of Argosy's. kind: WORKFLOW or STEP."""
    return any(_is(meanings.of(each, function.module), kind, function.module, meanings) for each in function.decorators)


def is_opaque(function: Function, meanings: Meanings) -> bool:
    """Whether the function has an unknown decorator, so that a call of its name may run something else."""
    return any(
        getattr(meanings.of(each, function.module), "name", getattr(meanings.of(each, function.module), "of", None))
        not in {*_TRANSPARENT, WORKFLOW, STEP}
        for each in function.decorators
    )


def workflows_of(module: Module, meanings: Meanings) -> Iterator[Function]:
    """Yield the workflows that a module declares, also as `workflow(function)`, and those that it imports from the
    user's other files.
    """
    seen: set[Function] = set()
    for function in module.functions.values():
        if is_declared(function, WORKFLOW, meanings):
            seen.add(function)
    for node in module.scopes.of_node:
        if isinstance(node, ast.Call) and node.args and _is(meanings.of(node.func, module), WORKFLOW, module, meanings):
            found = meanings.of(node.args[0], module)
            seen |= {found} if isinstance(found, Function) else set()
    for name in _names(module, meanings):
        found = meanings.global_of(module, name)
        if isinstance(found, Function) and is_declared(found, WORKFLOW, meanings):
            seen.add(found)
    yield from sorted(seen, key=lambda each: (each.module is not module, each.module.source.shown, each.node.lineno))


def declared_name(function: Function, meanings: Meanings) -> str:
    """Return the name of a workflow in the fleet: from `@workflow(name="…")`, else the function's own."""
    for each in function.decorators:
        if isinstance(each, ast.Call) and _is(meanings.of(each, function.module), WORKFLOW, function.module, meanings):
            for keyword in each.keywords:
                if (
                    keyword.arg == "name"
                    and isinstance(keyword.value, ast.Constant)
                    and isinstance(keyword.value.value, str)
                ):
                    return keyword.value.value
    return function.name


def _names(module: Module, meanings: Meanings) -> set[str]:
    names = {name for name, bound in module.scope.bindings.items() if any(each.kind == "import" for each in bound)}
    for star in module.scope.stars:
        if (other := meanings.module_of(module, star)) is not None:
            names |= other.scope.bindings.keys()
    return names


def _is(meaning: Meaning, kind: str, module: Module, meanings: Meanings) -> bool:
    """Whether an expression is the decorator `kind`: `workflow`, `workflow(version="2")`, or
    functools.partial(workflow, version="2").
    """
    match meaning:
        case External(name=name):
            return name == kind
        case Object(of="functools.partial", made=ast.Call(args=[first, *_])):
            return _is(meanings.of(first, module), kind, module, meanings)
        case Object(of=of):
            return of == kind
    return False
