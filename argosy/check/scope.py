"""Finds which names a file binds, in which scope, and to what, by Python's own rules, from the parsed text.

It does not recurse, because a text may be nested as deeply as Python's parser allows.
"""

import ast
from collections import deque
from typing import Final, Literal, NamedTuple

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS: Final = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)

Kind = Literal["import", "function", "class", "parameter", "value", "open"]


class Binding(NamedTuple):
    """What a name is bound to at one place. target: the dotted name that an import names, or a parameter's name. node:
    the definition, or the value.

    The kind "open" is for a value that the text does not tell (a loop's variable, a part of a tuple).
    """

    kind: Kind
    target: str = ""
    node: ast.AST | None = None
    annotation: ast.expr | None = None


class Scope:
    """The scope of a module, class, function or comprehension. nodes: the nodes that are evaluated in it, in the order
    of the text. Those of a comprehension are in the scope around it; those of a nested function's body are in its own
    scope.
    """

    def __init__(
        self, kind: Literal["module", "class", "function", "comprehension"], node: ast.AST, parent: "Scope | None"
    ):
        self.kind = kind
        self.node = node
        self.parent = parent
        self.bindings: dict[str, list[Binding]] = {}
        self.globals: set[str] = set()
        self.nonlocals: set[str] = set()
        self.stars: list[str] = []
        self.nodes: list[ast.AST] = []

    @property
    def code(self) -> "Scope":
        """The scope that has this scope's nodes: for a comprehension the one around it, else this one."""
        scope = self
        while scope.kind == "comprehension" and scope.parent is not None:
            scope = scope.parent
        return scope

    def find(self, name: str) -> "Scope | None":
        """Return the scope whose binding a name has in this scope; None when it is a builtin, comes with a star import,
        or is bound nowhere.
        """
        scope: Scope | None = self
        while scope is not None:
            if name in scope.globals:
                while scope.parent is not None:
                    scope = scope.parent
                return scope if name in scope.bindings else None
            if (scope.kind != "class" or scope is self) and name in scope.bindings:
                return scope
            scope = scope.parent
        return None

    def bind(self, name: str, binding: Binding) -> None:
        scope: Scope = self
        if name in self.globals:
            while scope.parent is not None:
                scope = scope.parent
        elif name in self.nonlocals and self.parent is not None:
            scope = self.parent.find(name) or self
        scope.bindings.setdefault(name, []).append(binding)


class Scopes:
    """The scopes of one file. package: the package to which its relative imports are relative."""

    def __init__(self, tree: ast.Module, package: str) -> None:
        self.module = Scope("module", tree, None)
        self.of_node: dict[ast.AST, Scope] = {}
        self.own: dict[ast.AST, Scope] = {}  # the scope that a function, class or comprehension makes
        self.parent_of: dict[ast.AST, ast.AST] = {}
        self._package = package
        self._bindings: dict[ast.AST, Binding] = {}  # the binding for a target of an assignment
        # A function's body is read after the code around it: only then all names that this code binds are known.
        self._bodies: deque[tuple[list[ast.AST], Scope]] = deque([(list(tree.body), self.module)])
        while self._bodies:
            self._read(*self._bodies.popleft())

    def _read(self, body: list[ast.AST], scope: Scope) -> None:
        left = [(node, scope) for node in reversed(body)]
        while left:
            node, scope = left.pop()
            self.of_node[node] = scope
            scope.code.nodes.append(node)
            children = self._enter(node, scope)
            for child, _ in children:
                self.parent_of[child] = node
            left.extend(reversed(children))

    def _enter(self, node: ast.AST, scope: Scope) -> list[tuple[ast.AST, Scope]]:
        """Bind the names that a node binds; return the nodes to read next, each with its scope."""
        if isinstance(node, _FUNCTIONS):
            return self._function(node, scope)
        if isinstance(node, ast.ClassDef):
            scope.bind(node.name, Binding("class", node=node))
            inner = self.own[node] = Scope("class", node, scope)
            return [(each, scope) for each in (*node.decorator_list, *node.bases, *node.keywords)] + [
                (each, inner) for each in node.body
            ]
        if isinstance(node, _COMPREHENSIONS):
            return self._comprehension(node, scope)
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            self._import(node, scope)
            return []
        if isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Load):
                scope.bind(node.id, self._bindings.pop(node, Binding("open")))
            return []
        self._statement(node, scope)
        if isinstance(node, ast.NamedExpr):
            return [(node.target, scope.code), (node.value, scope)]
        return [(each, scope) for each in ast.iter_child_nodes(node)]

    def _statement(self, node: ast.AST, scope: Scope) -> None:
        match node:
            case ast.Assign(targets=targets, value=value):
                self._bindings.update({each: Binding("value", node=value) for each in targets})
            case ast.AnnAssign(target=target, value=value, annotation=annotation):
                self._bindings[target] = Binding("value", node=value, annotation=annotation)
            case ast.NamedExpr(target=target, value=value):
                self._bindings[target] = Binding("value", node=value)
            case ast.withitem(context_expr=value, optional_vars=ast.Name() as target):
                self._bindings[target] = Binding("value", node=value)
            case ast.Global(names=names):
                scope.globals.update(names)
            case ast.Nonlocal(names=names):
                scope.nonlocals.update(names)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                scope.bind(name, Binding("open"))
            case ast.MatchMapping(rest=str(name)):
                scope.bind(name, Binding("open"))

    def _function(self, node: FunctionNode, scope: Scope) -> list[tuple[ast.AST, Scope]]:
        inner = self.own[node] = Scope("function", node, scope)
        arguments = node.args
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        for each in named:
            inner.bind(each.arg, Binding("parameter", target=each.arg, node=each, annotation=each.annotation))
        for rest in filter(None, (arguments.vararg, arguments.kwarg)):
            inner.bind(rest.arg, Binding("open"))
        outside: list[ast.AST] = [each for each in (*arguments.defaults, *arguments.kw_defaults) if each is not None]
        outside += [each.annotation for each in named if each.annotation is not None]
        body: list[ast.AST]
        if isinstance(node, ast.Lambda):
            body = [node.body]
        else:
            scope.bind(node.name, Binding("function", node=node))
            outside += [*node.decorator_list, *([node.returns] if node.returns else [])]
            body = [*node.body]
        self.parent_of.update(dict.fromkeys(body, node))
        self._bodies.append((body, inner))
        return [(each, scope) for each in outside]

    def _comprehension(self, node: ast.AST, scope: Scope) -> list[tuple[ast.AST, Scope]]:
        inner = self.own[node] = Scope("comprehension", node, scope)
        generators: list[ast.comprehension] = node.generators  # type: ignore[attr-defined]
        first, *others = generators
        parts: list[tuple[ast.AST, Scope]] = [(first.iter, scope), (first.target, inner)]
        parts += [(each, inner) for each in (*first.ifs, *others)]
        parts += [(each, inner) for each in ast.iter_child_nodes(node) if not isinstance(each, ast.comprehension)]
        return parts

    def _import(self, node: ast.Import | ast.ImportFrom, scope: Scope) -> None:
        if isinstance(node, ast.Import):
            for each in node.names:
                name = each.asname or each.name.partition(".")[0]
                scope.bind(name, Binding("import", each.name if each.asname else name))
            return
        module = node.module or ""
        if node.level:
            parts = self._package.split(".") if self._package else []
            above = parts[: len(parts) - (node.level - 1)]
            module = ".".join([*above, *([module] if module else [])])
        for each in node.names:
            if each.name == "*":
                scope.stars.append(module)
            else:
                target = f"{module}.{each.name}" if module else each.name
                scope.bind(each.asname or each.name, Binding("import", target))
