"""Finds the code that runs as part of a workflow: the workflow itself, and the user's functions that it calls, directly
or not.

Steps, and functions that are only passed to ctx.run, are no part of it: they run once and are recorded. A function that
is stored, or passed to unknown code, is left out.
"""

import ast
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from argosy.check.declared import STEP, is_declared, is_opaque
from argosy.check.kinds import CONTEXT, SYNC_CONTEXT, Bound, External, Meaning, Member, Object
from argosy.check.meaning import Meanings
from argosy.check.module import Class, Function

# Calls that run a function passed to them, as part of the workflow: the position of the function among the arguments,
# and whether the arguments behind it are passed on to it.
_CALLERS: Final = {
    **{f"builtins.{name}": (0, False) for name in ("map", "filter")},
    **{f"itertools.{name}": (0, False) for name in ("starmap", "takewhile", "dropwhile")},
    "functools.reduce": (0, False),
}
_CALLING_METHODS: Final = {
    "start_soon": (0, True),
    "call_soon": (0, True),
    "call_later": (1, True),
    "call_at": (1, True),
}
_BY_KEY: Final = frozenset({"builtins.sorted", "builtins.min", "builtins.max"})


class Reached(NamedTuple):
    """A function, and the first workflow that was found to run it; for a workflow, itself."""

    function: Function
    workflow: Function


def reach(workflows: Iterable[Function], meanings: Meanings) -> list[Reached]:
    """Return the functions that these workflows run, each once, in the order in which they are found. Afterwards
    `meanings.contexts` has their parameters that are a ctx.
    """
    found: dict[Function, Reached] = {}
    left: deque[Function] = deque()
    for each in workflows:
        if each.positional:
            meanings.contexts.setdefault(each, {})[each.positional[0]] = CONTEXT if each.is_async else SYNC_CONTEXT
        found.setdefault(each, Reached(each, each))
        left.append(each)
    while left:
        function = left.popleft()
        for called, contexts in _calls(function, meanings):
            known = meanings.contexts.setdefault(called, {})
            # A function that both kinds of workflows run gets the asynchronous ctx, for which the rules are stricter.
            news = {name: kind for name, kind in contexts.items() if known.get(name) not in (kind, CONTEXT)}
            known.update(news)
            if called not in found:
                found[called] = Reached(called, found[function].workflow)
                left.append(called)
            elif news:
                left.append(called)
    return list(found.values())


def callee(meaning: Meaning, meanings: Meanings) -> Function | None:
    """Return the user's function that a call of this runs first; of a class that is `__init__`. None: there is none."""
    match meaning:
        case Function():
            return meaning
        case Bound(function=function):
            return function
        case Class():
            return meanings.method(meaning, "__init__")
    return None


def _calls(function: Function, meanings: Meanings) -> Iterator[tuple[Function, dict[str, str]]]:
    for node in function.scope.nodes:
        if isinstance(node, ast.Call):
            for called, is_method, arguments, keywords in _called(node, function, meanings):
                if not is_declared(called, STEP, meanings) and not is_opaque(called, meanings):
                    yield called, _contexts(called, is_method, arguments, keywords, function, meanings)


def _called(
    node: ast.Call, function: Function, meanings: Meanings
) -> Iterator[tuple[Function, bool, list[ast.expr], list[ast.keyword]]]:
    meaning = meanings.of(node.func, function.module)
    if (direct := callee(meaning, meanings)) is not None:
        yield direct, isinstance(meaning, (Bound, Class)), node.args, node.keywords
        return
    place, passes = None, False
    if isinstance(meaning, External):
        place, passes = _CALLERS.get(meaning.name, (None, False))
    elif isinstance(node.func, ast.Attribute) and (meaning is None or isinstance(meaning, Member)):
        place, passes = _CALLING_METHODS.get(node.func.attr, (None, False))
    given = [node.args[place]] if place is not None and len(node.args) > place else []
    if meaning in [External(name) for name in _BY_KEY] or (
        isinstance(node.func, ast.Attribute) and node.func.attr == "sort"
    ):
        given += [each.value for each in node.keywords if each.arg == "key"]
    for each in given:
        handed = meanings.of(each, function.module)
        if (called := callee(handed, meanings)) is not None:
            rest = node.args[place + 1 :] if passes and place is not None else []
            yield called, isinstance(handed, (Bound, Class)), rest, []


def _contexts(
    called: Function,
    is_method: bool,
    arguments: list[ast.expr],
    keywords: list[ast.keyword],
    function: Function,
    meanings: Meanings,
) -> dict[str, str]:
    """Return the parameters of a called function that get the caller's ctx, with the kind of ctx."""
    pairs: list[tuple[str | None, ast.expr]] = []
    for name, value in zip(called.positional[1 if is_method else 0 :], arguments, strict=False):
        if isinstance(value, ast.Starred):
            break
        pairs.append((name, value))
    pairs += [(each.arg, each.value) for each in keywords]
    found = {}
    for parameter, given in pairs:
        match meanings.of(given, function.module):
            case Object(of=str(kind)) if parameter is not None and kind in (CONTEXT, SYNC_CONTEXT):
                found[parameter] = kind
    return found
