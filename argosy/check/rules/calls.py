"""Finds calls that a replay cannot repeat (clocks, random values, I/O, threads, other event loops), and steps that are
called without ctx.run.
"""

import ast
from collections.abc import Iterator
from typing import Final

from argosy.check import external
from argosy.check.declared import STEP, is_declared
from argosy.check.finding import Found
from argosy.check.kinds import Bound, External, Member
from argosy.check.look import Look, spelled
from argosy.check.module import Function

# Objects of which every method in the table is reported, wherever the object was made.
_EVERYWHERE: Final = frozenset({"pathlib.Path", "asyncio.AbstractEventLoop"})
_SEEDED: Final = frozenset({"random.Random", "numpy.random.default_rng"})


def calls(look: Look) -> Iterator[Found]:
    for node in look.nodes:
        if isinstance(node, ast.Call):
            yield from _call(node, look)
        elif isinstance(node, (ast.Attribute, ast.Name)) and isinstance(node.ctx, ast.Load):
            meaning = look.meaning(node)
            if isinstance(meaning, External) and meaning.name in external.ENVIRONMENT.names.split():
                yield look.found(node, external.ENVIRONMENT.code, f"{spelled(node)} {external.ENVIRONMENT.why}")


def _call(node: ast.Call, look: Look) -> Iterator[Found]:
    meaning = look.meaning(node.func)
    rule = None
    match meaning:
        case External(name="builtins.hash"):
            if len(node.args) == 1 and look.is_object(node.args[0], "builtins.str", "builtins.bytes"):
                why = "of text differs from process to process: use hashlib, or zlib.crc32"
                yield look.found(node, "random", f"{spelled(node.func)}() {why}")
        case External(name=name):
            rule = external.rule_of_call(name, has_arguments=bool(node.args or node.keywords))
        case Member(of=of, path=path, made=made):
            rule = _method_rule(of, path[-1], made, look)
        case Function() | Bound():
            yield from _step(node, meaning, look)
    if rule is not None:
        why = rule.why.format(now=f"{look.own('now')}()", sleep=f"{look.own('sleep')}(…)", uuid=f"{look.own('uuid')}()")
        yield look.found(node, rule.code, f"{spelled(node.func)}() {why}")


def _method_rule(of: str, method: str, made: ast.Call | None, look: Look) -> external.Rule | None:
    """Return the rule that a call of a method of a package's object breaks, or None. An object that the workflow itself
    made is reported where it was made, not again here.
    """
    rule = external.rule_of_method(of, method)
    if rule is None or of in _EVERYWHERE:
        return rule
    if made is None:  # a parameter: if it is a generator of random numbers, it may have been seeded
        return None if of in _SEEDED else rule
    return None if made in look.made else rule


def _step(node: ast.Call, meaning: Function | Bound, look: Look) -> Iterator[Found]:
    function = meaning.function if isinstance(meaning, Bound) else meaning
    if is_declared(function, STEP, look.meanings) and not _is_pure(function):
        handed = f"{look.own('run')}({spelled(node.func)}, …)"
        why = f"is a step that is called directly: nothing is recorded, and every replay does it again; use {handed}"
        yield look.found(node, "step-call", f"{spelled(node.func)}() {why}")


def _is_pure(function: Function) -> bool:
    return any(
        keyword.arg == "effect" and isinstance(keyword.value, ast.Constant) and keyword.value.value == "pure"
        for each in function.decorators
        if isinstance(each, ast.Call)
        for keyword in each.keywords
    )
