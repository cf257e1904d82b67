"""A file as a module, with its functions and classes by their nodes."""

import ast
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from argosy.check.scope import Binding, FunctionNode, Scope, Scopes
from argosy.check.source import Source


class Module:
    """A module of the user's. name: its dotted name. roots: folders to look in for its absolute imports."""

    def __init__(self, source: Source, name: str, is_package: bool, roots: tuple[Path, ...]) -> None:
        self.source = source
        self.name = name
        self.roots = roots
        self.scopes = Scopes(source.tree, name if is_package else name.rpartition(".")[0])
        self.scope = self.scopes.module
        self.classes: dict[ast.AST, Class] = {}
        self.functions: dict[ast.AST, Function] = {}
        for node, scope in self.scopes.own.items():
            if isinstance(node, ast.ClassDef):
                self.classes[node] = Class(node, scope, self)
        for node, scope in self.scopes.own.items():
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                self.functions[node] = Function(node, scope, self)

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """Yield the nodes around a node, the innermost first, inside the function that it is in."""
        parent = self.scopes.parent_of.get(node)
        while parent is not None and parent not in self.functions:
            yield parent
            parent = self.scopes.parent_of.get(parent)

    def is_used(self, scope: Scope, name: str) -> bool:
        """Whether any code reads a name of this scope, except as a statement of its own."""
        return (scope, name) in self._used

    @cached_property
    def _used(self) -> set[tuple[Scope, str]]:
        found = set()
        for node, scope in self.scopes.of_node.items():
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                owner = scope.find(node.id)
                if owner is not None and not isinstance(self.parent(node), ast.Expr):
                    found.add((owner, node.id))
        return found

    def parent(self, node: ast.AST) -> ast.AST | None:
        return self.scopes.parent_of.get(node)


class Class:
    """A class of the user's."""

    def __init__(self, node: ast.ClassDef, scope: Scope, module: Module) -> None:
        self.node = node
        self.scope = scope
        self.module = module

    @cached_property
    def attributes(self) -> dict[str, list[Binding]]:
        """What the class's methods assign to attributes of `self`."""
        found: dict[str, list[Binding]] = {}
        for method in self.methods():
            for node in method.scope.nodes:
                match node:
                    case ast.Attribute(value=ast.Name(id=name), attr=attr, ctx=ast.Store()):
                        if method.positional[:1] == [name]:
                            found.setdefault(attr, []).append(_assigned(node, self.module.parent(node)))
        return found

    def methods(self) -> Iterator["Function"]:
        for function in self.module.functions.values():
            if function.scope.parent is self.scope:
                yield function


class Function:
    """A function, method or lambda of the user's. owner: the class, if it is a method."""

    def __init__(self, node: FunctionNode, scope: Scope, module: Module) -> None:
        self.node = node
        self.scope = scope
        self.module = module
        around = scope.parent.node if scope.parent is not None else None
        self.owner = module.classes.get(around) if around is not None else None

    @property
    def name(self) -> str:
        own = getattr(self.node, "name", "a lambda")
        return f"{self.owner.node.name}.{own}" if self.owner is not None else own

    @property
    def is_async(self) -> bool:
        return isinstance(self.node, ast.AsyncFunctionDef)

    @property
    def is_generator(self) -> bool:
        return any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in self.scope.nodes)

    @property
    def decorators(self) -> list[ast.expr]:
        return [] if isinstance(self.node, ast.Lambda) else self.node.decorator_list

    @property
    def positional(self) -> list[str]:
        """The names of the parameters that take positional arguments."""
        return [each.arg for each in (*self.node.args.posonlyargs, *self.node.args.args)]


def _assigned(target: ast.AST, statement: ast.AST | None) -> Binding:
    match statement:
        case ast.Assign(targets=targets, value=value) if target in targets:
            return Binding("value", node=value)
        case ast.AnnAssign(value=value, annotation=annotation):
            return Binding("value", node=value, annotation=annotation)
    return Binding("open")
