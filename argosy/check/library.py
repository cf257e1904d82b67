"""Finds modules: those that the user names, and the user's own modules that these import.

An import is followed to a file beside the named one, in its package, or in the current folder. Installed packages,
Python's own modules and Argosy are not read: they are known by their names (external.py).
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Final, cast

from argosy.check.external import ROOTS
from argosy.check.module import Module
from argosy.check.source import read
from argosy.errors import WorkflowError

_SHIPPED: Final = "argosy.workflows."


class Library:
    """The modules that were read, by their paths. unreadable: one line for each imported one that could not be read or
    parsed.
    """

    def __init__(self, folder: Path) -> None:
        self.unreadable: list[str] = []
        self._folder = folder
        self._modules: dict[Path, Module | None] = {}
        self._found: dict[tuple[tuple[Path, ...], str], tuple[Module, tuple[str, ...]] | None] = {}

    def enter(self, entry: str) -> Module:
        """Return the module that the user names: a path that ends in .py, or a dotted name. Raises WorkflowError."""
        if entry.endswith(".py"):
            path, name, shown = _file(entry), "", entry
            package = path.parent
            while (package / "__init__.py").is_file() and package != package.parent:
                package = package.parent
            roots: tuple[Path, ...] = (path.parent, package, self._folder)
            if package != path.parent:  # a file of a package may have relative imports, which need its dotted name
                name = ".".join(path.relative_to(package).with_suffix("").parts)
        else:
            path, name = self._locate(entry), entry
            shown = self._shown(path)
            depth = entry.count(".") + (path.name == "__init__.py")
            roots = (path.parents[depth], self._folder)
        if (known := self._modules.get(path)) is not None:
            return known
        name = name.removesuffix(".__init__") or path.stem
        module = Module(read(path, shown), name, path.name == "__init__.py", tuple(dict.fromkeys(roots)))
        self._modules[path] = module
        return module

    def find(self, module: Module, dotted: str) -> tuple[Module, tuple[str, ...]] | None:
        """Resolve a dotted name as `module` would import it: return the user's module that it begins with, and the rest
        of the name. None when it begins with no module of the user's.
        """
        top = dotted.partition(".")[0]
        if top in sys.stdlib_module_names or top in ROOTS or (top == "argosy" and not dotted.startswith(_SHIPPED)):
            return None
        key = (module.roots, dotted)
        if key not in self._found:
            self._found[key] = None  # the answer while the search goes on
            found = (self._below(root, dotted, module.roots) for root in module.roots)
            self._found[key] = next((each for each in found if each is not None), None)
        return self._found[key]

    def _below(self, root: Path, dotted: str, roots: tuple[Path, ...]) -> tuple[Module, tuple[str, ...]] | None:
        parts = tuple(dotted.split("."))
        folder, best = root, None
        for index, part in enumerate(parts, 1):
            if best is not None and self._binds(best[0], part, ".".join(parts[:index])):
                break  # the package binds this name to something other than the submodule
            here = folder / part
            for path in (here / "__init__.py", folder / f"{part}.py"):
                if path.is_file():
                    loaded = self._load(path.resolve(), ".".join(parts[:index]), roots)
                    if loaded is None:
                        return None
                    best = (loaded, parts[index:])
                    break
            else:
                if best is None and not here.is_dir():
                    return None
            if not here.is_dir():
                break
            folder = here
        return best

    def _binds(self, module: Module, name: str, dotted: str) -> bool:
        return any(each.kind != "import" or each.target != dotted for each in module.scope.bindings.get(name, ()))

    def _load(self, path: Path, name: str, roots: tuple[Path, ...]) -> Module | None:
        if path not in self._modules:
            self._modules[path] = None
            shown = self._shown(path)
            try:
                self._modules[path] = Module(read(path, shown), name, path.name == "__init__.py", roots)
            except WorkflowError as error:
                self.unreadable.append(f"{shown}: {error}")
        return self._modules[path]

    def _shown(self, path: Path) -> str:
        return str(path.relative_to(self._folder) if path.is_relative_to(self._folder) else path)

    def _locate(self, name: str) -> Path:
        """Return the file of a module, found as Python finds it, but without importing any of its packages. Raises
        WorkflowError when there is none.
        """
        if not all(part.isidentifier() for part in name.split(".")) or (self._folder / name).is_file():
            raise WorkflowError("it is neither a path that ends in .py nor a module such as shop.workflows")
        where: Sequence[str] | None = None
        origin: str | None = None
        parts = name.split(".")
        for index in range(1, len(parts) + 1):
            prefix = ".".join(parts[:index])
            spec = _spec(prefix, where) or (_spec(prefix, [str(self._folder)]) if index == 1 else None)
            if spec is None:
                raise WorkflowError(f"there is no module {prefix}")
            where, origin = list(spec.submodule_search_locations or ()), spec.origin
        if not origin or not origin.endswith(".py"):
            raise WorkflowError("it has no source in a .py file")
        return Path(origin).resolve()


def _file(entry: str) -> Path:
    try:
        path = Path(entry).expanduser().resolve()
        is_file = path.is_file()
    except (OSError, RuntimeError) as error:  # a name that is too long, circular links, ~name of an unknown user
        raise WorkflowError(f"it is no path: {error}") from error
    if not is_file:
        raise WorkflowError(f"there is no file {path}")
    return path


def _spec(name: str, where: Sequence[str] | None) -> ModuleSpec | None:
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)  # finders of an old kind have none
        if find is not None and (spec := find(name, where)) is not None:
            return cast(ModuleSpec, spec)
    return None
