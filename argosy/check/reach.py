"""What runs as part of a workflow: its own code, and the functions of the user's that it calls, directly or not.

Not part of it is what a step does, and what is only handed to ctx.run: that runs once and is recorded. A function that
is stored, or passed to code that is not known, is left out.
"""

import ast
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from argosy.check.declared import STEP, is_declared, is_opaque
from argosy.check.kinds import CONTEXT, SYNC_CONTEXT, Bound, External, Meaning, Member, Object
from argosy.check.meaning import Meanings
from argosy.check.module import Class, Function

# What calls a function that it is given at once, as part of the workflow: at which place it is, and whether what
# follows is passed on.
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
    """A function, and the workflow that runs it; itself, mostly."""

    function: Function
    workflow: Function


def reach(workflows: Iterable[Function], meanings: Meanings) -> list[Reached]:
    """In the order in which they are found; each once. Afterwards `meanings` knows which parameters are a ctx."""
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
            # A function of both kinds of workflows: the asynchronous one is the stricter.
            news = {name: kind for name, kind in contexts.items() if known.get(name) not in (kind, CONTEXT)}
            known.update(news)
            if called not in found:
                found[called] = Reached(called, found[function].workflow)
                left.append(called)
            elif news:
                left.append(called)
    return list(found.values())


def callee(meaning: Meaning, meanings: Meanings) -> Function | None:
    """The user's function that a call of this runs first."""
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
    """Which parameters of a called function get the ctx of the one that calls it."""
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
