"""Finds decisions by ctx.attempt, which is another number in a replay. Code may log or return it, but not branch on it
or pass it to an operation.
"""

import ast
from collections.abc import Iterator
from typing import Final

from argosy.check.finding import Found
from argosy.check.kinds import CONTEXT, SYNC_CONTEXT, Member
from argosy.check.look import Look

_WHY: Final = "ctx.attempt grows with every replay, so that this"
_INSTEAD: Final = "let recorded results decide"


def attempts(look: Look) -> Iterator[Found]:
    reported: set[ast.AST] = set()
    for node in look.nodes:
        if isinstance(node, ast.Call) and look.operation(node):
            given = (*node.args, *(each.value for each in node.keywords))
            what = (
                f"asks for another operation than the one that is recorded; {_INSTEAD}, or ask step_info() in the step"
            )
        else:
            given = () if _only_tells(node, look) else tuple(filter(None, _decisions(node)))
            what = f"takes another branch than before; {_INSTEAD}"
        for each in given:
            for part in ast.walk(each):
                if part not in reported and _is_attempt(part, look):
                    reported.add(part)
                    yield look.found(part, "attempt", f"{_WHY} {what}")


def _decisions(node: ast.AST) -> tuple[ast.expr | None, ...]:
    """Return the expressions of a node that determine what runs next."""
    match node:
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test) | ast.Assert(test=test):
            return (test,)
        case ast.Match(subject=subject):
            return (subject,)
        case ast.match_case(guard=guard):
            return (guard,)
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            return tuple(each for part in node.generators for each in part.ifs)
        case ast.For(iter=each):
            return (each,)
    return ()


def _only_tells(node: ast.AST, look: Look) -> bool:
    """Whether both branches of an `if` consist only of expressions that start and await nothing, such as log lines."""
    if not isinstance(node, ast.If):
        return False
    parts = [part for each in (*node.body, *node.orelse) for part in ast.walk(each)]
    plain = all(isinstance(each, ast.Expr) for each in (*node.body, *node.orelse))
    return plain and not any(isinstance(part, ast.Await) or look.starts_something(part) for part in parts)


def _is_attempt(node: ast.AST, look: Look) -> bool:
    if not isinstance(node, (ast.Attribute, ast.Name)):
        return False
    match look.meaning(node):
        case Member(of=of, path=("attempt",)):
            return of in (CONTEXT, SYNC_CONTEXT)
    return False
