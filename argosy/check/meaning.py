"""Resolves what an expression means, as far as the text tells: a function, class or module of the user's, a name of a
package, or an object of a known kind. None means unknown, and nothing is reported of it.
"""

import ast
import builtins
import sys
from collections.abc import Iterator, Sequence
from typing import Final

from argosy.check.external import RESULTS, SAME
from argosy.check.kinds import PENDING, Bound, External, Meaning, Member, Object, Pending, is_object, made, one
from argosy.check.library import Library
from argosy.check.module import Class, Function, Module
from argosy.check.scope import Binding, Scope

_DEPTH_MAX: Final = 16  # of names that stand for names: they may go in a circle
# A star import of any other module may hide any builtin.
_STARS_OF_KNOWN_NAMES: Final = sys.stdlib_module_names | {"argosy"}


class Meanings:
    """Resolves meanings. contexts: for each function its parameters that are a ctx, with the kind of ctx."""

    def __init__(self, library: Library) -> None:
        self.contexts: dict[Function, dict[str, str]] = {}
        self._library = library
        self._open: set[tuple[object, str]] = set()

    def of(self, node: ast.AST | None, module: Module, depth: int = 0) -> Meaning:
        if depth > _DEPTH_MAX:
            return None
        depth += 1
        match node:
            case ast.Name(id=name):
                return self._of_name(name, module.scopes.of_node.get(node, module.scope), module, depth)
            case ast.Attribute(value=value, attr=attr):
                return self._attribute(self.of(value, module, depth), attr, depth)
            case ast.Call(func=func):
                return self._called(self.of(func, module, depth), node, module, depth)
            case ast.Await(value=value) | ast.NamedExpr(value=value):
                return self.of(value, module, depth)
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                sides = (self.of(left, module, depth), self.of(right, module, depth))
                return next((Object("pathlib.Path") for each in sides if is_object(each, "pathlib.Path")), None)
            case ast.BinOp(left=left, op=ast.BitOr() | ast.BitAnd() | ast.Sub() | ast.BitXor()):
                return Object("builtins.set") if is_object(self.of(left, module, depth), "builtins.set") else None
            case ast.Set() | ast.SetComp():
                return Object("builtins.set")
            case ast.Constant(value=str()) | ast.JoinedStr():
                return Object("builtins.str")
            case ast.Constant(value=bytes()):
                return Object("builtins.bytes")
            case ast.Lambda():
                return module.functions[node]
        return None

    def is_of(self, node: ast.AST | None, module: Module, *kinds: str) -> bool:
        """Whether an expression is an object of one of these kinds."""
        found = self.of(node, module)
        return isinstance(found, Object) and found.of in kinds

    def global_of(self, module: Module, name: str) -> Meaning:
        """Return the meaning of a name in a module's own namespace."""
        return self._of_name(name, module.scope, module, 0)

    def method(self, owner: Class, name: str) -> Function | None:
        """Return a class's own or inherited method, or None."""
        found = self._of_class(owner, name, 0)
        return found if isinstance(found, Function) else None

    def module_of(self, module: Module, dotted: str) -> Module | None:
        """Return the user's module that `module` would import under this name, or None."""
        found = self._resolve(module, dotted, 0)
        return found if isinstance(found, Module) else None

    def _of_name(self, name: str, scope: Scope, module: Module, depth: int) -> Meaning:
        owner = scope.find(name)
        if owner is None:
            return self._unbound(name, module, depth)
        if (owner, name) in self._open:
            return PENDING
        self._open.add((owner, name))
        try:
            return one(self._of_binding(each, owner, module, depth) for each in _telling(owner.bindings[name]))
        finally:
            self._open.discard((owner, name))

    def _unbound(self, name: str, module: Module, depth: int) -> Meaning:
        for star in module.scope.stars:
            found = self._resolve(module, star, depth + 1)
            if isinstance(found, Module) and name in found.scope.bindings:
                return self._of_name(name, found.scope, found, depth)
        outside = [each for each in module.scope.stars if self._library.find(module, each) is None]
        if hasattr(builtins, name):
            hidden = any(each.partition(".")[0] not in _STARS_OF_KNOWN_NAMES for each in outside)
            return None if hidden else External(f"builtins.{name}")
        return External(f"{outside[0]}.{name}") if len(outside) == 1 else None

    def _of_binding(self, binding: Binding, scope: Scope, module: Module, depth: int) -> Meaning:
        match binding.kind:
            case "import":
                return self._resolve(module, binding.target, depth)
            case "function":
                return module.functions.get(binding.node) if binding.node is not None else None
            case "class":
                return module.classes.get(binding.node) if binding.node is not None else None
            case "parameter":
                return self._parameter(binding, module.functions[scope.node], depth)
            case "value" if binding.annotation is not None and binding.node is None:
                return self._annotated(binding.annotation, module, depth)
            case "value":
                told = self.of(binding.node, module, depth)
                return told if told is not None else self._annotated(binding.annotation, module, depth)
        return None

    def _parameter(self, binding: Binding, function: Function, depth: int) -> Meaning:
        if (kind := self.contexts.get(function, {}).get(binding.target)) is not None:
            return Object(kind)
        if function.owner is not None and function.positional[:1] == [binding.target]:
            kinds = {each.id for each in function.decorators if isinstance(each, ast.Name)}
            if "staticmethod" not in kinds:
                return function.owner if "classmethod" in kinds else Object(function.owner)
        return self._annotated(binding.annotation, function.module, depth)

    def _annotated(self, annotation: ast.expr | None, module: Module, depth: int) -> Meaning:
        """Return the meaning of a name with this annotation: `Path`, `"Path"`, `Path | None`, `set[str]`,
        `Optional[Path]`.
        """
        if depth > _DEPTH_MAX:
            return None
        match annotation:
            case ast.Constant(value=str(text)):
                return self._quoted(text, module)
            case ast.BinOp(left=left, op=ast.BitOr(), right=ast.Constant(value=None)):
                return self._annotated(left, module, depth + 1)
            case ast.Subscript(value=value, slice=inner):
                base = self.of(value, module, depth)
                if base == External("typing.Optional"):
                    return self._annotated(inner, module, depth + 1)
                return made(base, None)
            case ast.Name() | ast.Attribute():
                return made(self.of(annotation, module, depth), None)
        return None

    def _quoted(self, text: str, module: Module) -> Meaning:
        try:
            annotation = ast.parse(text, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        return self._annotated(annotation, module, _DEPTH_MAX - 2) if isinstance(annotation, ast.Name) else None

    def _resolve(self, module: Module, dotted: str, depth: int) -> Meaning:
        if depth > _DEPTH_MAX:
            return None
        found = self._library.find(module, dotted)
        if found is None:
            return External(SAME.get(dotted, dotted))
        meaning: Meaning
        meaning, rest = found
        for part in rest:
            meaning = self._attribute(meaning, part, depth + 1)
        return meaning

    def _attribute(self, base: Meaning, attr: str, depth: int) -> Meaning:
        match base:
            case External(name=name):
                return External(SAME.get(f"{name}.{attr}", f"{name}.{attr}"))
            case Member(of=of, path=path, made=made):
                return Member(of, (*path, attr), made)
            case Object(of=str(of), made=made):
                return Object("pathlib.Path") if (of, attr) == ("pathlib.Path", "parent") else Member(of, (attr,), made)
            case Object(of=Class() as owner):
                return self._of_object(owner, attr, depth)
            case Class():
                found = self._of_class(base, attr, depth)
                return Bound(found) if isinstance(found, Function) and _has(found, "classmethod") else found
            case Module():
                return self._of_module(base, attr, depth)
            case Pending():
                return base
        return None

    def _of_module(self, module: Module, attr: str, depth: int) -> Meaning:
        """Return the meaning of a name that a module binds, or its submodule of that name."""
        if module.scope.find(attr) is not None:
            return self._of_name(attr, module.scope, module, depth)
        submodule = self._library.find(module, f"{module.name}.{attr}")
        if submodule is not None and not submodule[1]:
            return submodule[0]
        if not module.scope.stars or (module.scope, attr) in self._open:
            return None
        self._open.add((module.scope, attr))
        try:
            found = self._unbound(attr, module, depth + 1)
        finally:
            self._open.discard((module.scope, attr))
        return None if isinstance(found, External) and found.name.startswith("builtins.") else found

    def _of_object(self, owner: Class, attr: str, depth: int) -> Meaning:
        found = self._of_class(owner, attr, depth)
        if isinstance(found, Function):
            return found if _has(found, "staticmethod") else Bound(found)
        key = (owner, attr)
        if key in self._open:
            return PENDING
        self._open.add(key)
        try:
            told: list[Meaning] = [found] if found is not None else []
            for each in self._lineage(owner, depth):
                values = _telling(each.attributes.get(attr, ()))
                told += [self._of_binding(value, each.scope, each.module, depth) for value in values]
            return one(told)
        finally:
            self._open.discard(key)

    def _of_class(self, owner: Class, attr: str, depth: int) -> Meaning:
        for each in self._lineage(owner, depth):
            if attr in each.scope.bindings:
                return self._of_name(attr, each.scope, each.module, depth)
        return None

    def _lineage(self, owner: Class, depth: int) -> Iterator[Class]:
        """Yield a class and, depth first, those of its bases that are the user's."""
        yield owner
        if depth > _DEPTH_MAX:
            return
        for each in owner.node.bases:
            if isinstance(base := self.of(each, owner.module, depth), Class):
                yield from self._lineage(base, depth + 1)

    def _called(self, function: Meaning, call: ast.Call, module: Module, depth: int) -> Meaning:
        match function:
            case External(name="typing.cast") if call.args:
                return self._annotated(call.args[0], module, depth)
            case Member(of=of, path=(method,)):
                result = RESULTS.get(f"{of}.{method}")
                return Object(result) if result is not None else None
            case External() | Class():
                return made(function, call)
            case Function() | Bound():
                called = function.function if isinstance(function, Bound) else function
                returns = getattr(called.node, "returns", None)
                return self._annotated(returns, called.module, depth)
            case Pending() | Object(of="functools.partial"):
                return function
        return None


def _has(function: Function, decorator: str) -> bool:
    return any(isinstance(each, ast.Name) and each.id == decorator for each in function.decorators)


def _telling(bindings: Sequence[Binding]) -> list[Binding]:
    """Return the bindings without `name = None`, which means that there is no value yet; all if there is no other."""
    told = [each for each in bindings if not (isinstance(each.node, ast.Constant) and each.node.value is None)]
    return told or list(bindings)
