"""A function that a workflow runs, as the rules see it."""

import ast
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Final

from argosy.check.finding import Found
from argosy.check.kinds import CONTEXT, SYNC_CONTEXT, Meaning, Member
from argosy.check.meaning import Meanings
from argosy.check.module import Function
from argosy.check.reach import Reached
from argosy.turn.keys import OPERATIONS

# Of what a ctx's `graph` returns.
GRAPH_OPERATIONS: Final = frozenset({
    "upsert_nodes", "upsert_edges", "merge_props", "delete", "apply",
    "get", "neighbors", "query", "search", "summary", "recall",
})  # fmt: skip
_GRAPH_OF: Final = {CONTEXT: "argosy.Graph", SYNC_CONTEXT: "argosy.SyncGraph"}

_COMPOUND: Final = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.If, ast.Match, ast.Try, ast.TryStar),
    *(ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith),
)

Rule = Callable[["Look"], Iterator[Found]]


class Look:
    """A function that a workflow runs, with what the rules ask about it. reached: every function that a checked
    workflow runs. made: every node in them.
    """

    def __init__(
        self, reached: Reached, meanings: Meanings, functions: frozenset[Function], made: frozenset[ast.AST]
    ) -> None:
        self.function = reached.function
        self.workflow = reached.workflow
        self.module = reached.function.module
        self.nodes = reached.function.scope.nodes
        self.own_nodes = frozenset(self.nodes)
        self.reached = functions
        self.made = made
        self.meanings = meanings

    @property
    def calls(self) -> Iterator[ast.Call]:
        return (node for node in self.nodes if isinstance(node, ast.Call))

    def meaning(self, node: ast.AST | None) -> Meaning:
        return self.meanings.of(node, self.module)

    def is_object(self, node: ast.AST | None, *kinds: str) -> bool:
        return self.meanings.is_of(node, self.module, *kinds)

    def operation(self, node: ast.AST, *kinds: str) -> str:
        """Return the name of the operation of ctx, or of one of its graphs, that a node calls, or "" when it calls
        none. kinds: the kinds of ctx that count; by default both.
        """
        if isinstance(node, ast.Call):
            counted = kinds or (CONTEXT, SYNC_CONTEXT)
            match self.meaning(node.func):
                case Member(of=of, path=(name,)) if name in OPERATIONS and of in counted:
                    return name
                case Member(of=of, path=(name,)) if name in GRAPH_OPERATIONS:
                    return name if of in [_GRAPH_OF[kind] for kind in counted] else ""
        return ""

    def starts_something(self, node: ast.AST) -> bool:
        """Whether a node is a call that asks ctx for an operation, or has the ctx as an argument."""
        if not isinstance(node, ast.Call):
            return False
        given = (*node.args, *(each.value for each in node.keywords))
        return bool(self.operation(node)) or any(self.is_object(each, CONTEXT, SYNC_CONTEXT) for each in given)

    def statement_end(self, line: int) -> int:
        """Return the last line of the simple statement (one that contains no others) on this line; the line itself when
        there is none.
        """
        return self._statement_ends.get(line, line)

    @cached_property
    def _statement_ends(self) -> dict[int, int]:
        ends: dict[int, int] = {}
        for each in self.nodes:
            if isinstance(each, ast.stmt) and not isinstance(each, _COMPOUND):
                end = each.end_lineno or each.lineno
                for line in range(each.lineno, end + 1):
                    ends.setdefault(line, end)
        return ends

    def own(self, name: str) -> str:
        """Return an operation as this workflow would write it."""
        return f"await ctx.{name}" if self.workflow.is_async else f"ctx.{name}"

    def found(self, node: ast.AST, code: str, message: str) -> Found:
        line: int = node.lineno  # type: ignore[attr-defined]
        # Of an except handler only the first line counts, not its body.
        last_line = line if isinstance(node, ast.ExceptHandler) else node.end_lineno or line  # type: ignore[attr-defined]
        return Found(line, node.col_offset, last_line, code, message)  # type: ignore[attr-defined]


def spelled(node: ast.AST) -> str:
    """Return an expression as the user wrote it, with the arguments of its calls left out."""
    parts: list[str] = []
    while True:
        match node:
            case ast.Attribute(value=value, attr=attr):
                parts.append(f".{attr}")
                node = value
            case ast.Call(func=func):
                parts.append("(…)")
                node = func
            case ast.Await(value=value):
                node = value
            case ast.Name(id=name):
                return "".join(reversed([*parts, name]))
            case _:
                return "".join(reversed([*parts, "(…)"]))
