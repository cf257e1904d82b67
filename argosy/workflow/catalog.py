"""The workflows that a worker can run: those that ship with Argosy and those of its users.

Promise: an entry that cannot be loaded is reported with its place in the source, and the other entries are loaded.
Loading runs users' code, so only workers load a catalog; `broken_files` runs none.
"""

import hashlib
import importlib
import importlib.machinery
import importlib.util
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Final, NamedTuple

import structlog

from argosy import telemetry
from argosy.errors import WorkflowError
from argosy.workflow.definition import Workflow, workflow_of

log = structlog.get_logger()

SHIPPED: Final = ("argosy.workflows.ask_library", "argosy.workflows.echo", "argosy.workflows.support_triage")


class Broken(NamedTuple):
    """An entry or a workflow that could not be loaded.

    entry: as the settings name it; error: one line; where: file:line, or empty.
    """

    entry: str
    error: str
    where: str

    def __str__(self) -> str:
        return f"{self.entry}: {self.error}{f' ({self.where})' if self.where else ''}"


class Catalog:
    """Workflows by name and version."""

    def __init__(self) -> None:
        self._definitions: dict[tuple[str, str], Workflow] = {}
        self._latest: dict[str, Workflow] = {}
        self._broken: list[Broken] = []

    @classmethod
    def load(cls, entries: Iterable[str]) -> "Catalog":
        """Load the shipped workflows and those of the entries: paths that end in .py, or dotted modules.

        A file becomes a module with a name of its own. When other modules stand beside the file, its folder is appended
        to sys.path and stays there: the file can import them, also later, and they hide nothing that is installed. For
        a dotted module the current folder is appended. When two files have neighbours of the same name, both get the
        neighbour that was loaded first.
        """
        catalog = cls()
        for entry in (*SHIPPED, *dict.fromkeys(entries)):
            catalog._add(entry)
        log.info(telemetry.WORKFLOWS_LOADED, names=sorted(catalog._latest), broken=len(catalog.broken))
        return catalog

    @property
    def definitions(self) -> tuple[Workflow, ...]:
        """Every workflow, in the order of loading."""
        return tuple(self._definitions.values())

    @property
    def broken(self) -> tuple[Broken, ...]:
        return tuple(self._broken)

    def get(self, name: str, version: str | None) -> Workflow | None:
        """Return the workflow of this name and version, or None. version None: the last one loaded under the name."""
        if version is None:
            return self._latest.get(name)
        return self._definitions.get((name, version))

    def add(self, definition: Workflow, entry: str) -> None:
        """Register a workflow that `entry` declares.

        When another workflow has its name and version, that one stays, and this one is reported as broken.
        """
        key = (definition.name, definition.version)
        earlier = self._definitions.setdefault(key, definition)
        if earlier == definition:
            self._latest[definition.name] = definition
            return
        code = definition.function.__code__
        error = f"workflow {definition.name!r} version {definition.version!r} is declared already, in {_place(earlier)}"
        self._broken.append(Broken(entry, error, f"{code.co_filename}:{code.co_firstlineno}"))

    def _add(self, entry: str) -> None:
        try:
            module = _load_file(entry) if entry.endswith(".py") else load_module(entry)
            found = [each for value in vars(module).values() if (each := workflow_of(value)) is not None]
            if not found:
                raise WorkflowError("it declares no workflow")
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # the edge of user code, where even sys.exit() must not stop the rest
            self._broken.append(broken_of(entry, error))
            return
        for definition in found:
            self.add(definition, entry)


def broken_files(entries: Iterable[str]) -> tuple[Broken, ...]:
    """Return those files among the entries that `Catalog.load` cannot load: there is no such file, or its text is no
    Python. Nothing of them is run.

    Modules are not looked for: where a worker finds them depends on its sys.path, and a package's code may be run to
    find what is in it.
    """
    found = []
    for entry in dict.fromkeys(entries):
        if not entry.endswith(".py"):
            continue
        try:
            importlib.machinery.SourceFileLoader(entry, str(_file_of(entry))).get_code(entry)
        except (
            Exception
        ) as error:  # what compiling raises is not documented: ValueError, RecursionError, MemoryError, …
            found.append(broken_of(entry, error))
    return tuple(found)


def _file_of(entry: str) -> Path:
    path = Path(entry).expanduser().resolve()
    if not path.is_file():
        raise WorkflowError(f"there is no file {path}")
    return path


def _load_file(entry: str) -> ModuleType:
    path = _file_of(entry)
    make_neighbours_importable(path)
    name = f"argosy_user_{hashlib.blake2b(str(path).encode(), digest_size=6).hexdigest()}_{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise WorkflowError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before its code runs: dataclasses and pickle look the module up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def make_neighbours_importable(path: Path) -> None:
    """Let modules be imported that stand beside a file, if there are some."""
    folder = path.parent
    if any(each != path and (each.suffix == ".py" or (each / "__init__.py").is_file()) for each in folder.iterdir()):
        _make_importable(folder)


def load_module(name: str) -> ModuleType:
    """Return a dotted module, which may stand in the current folder. Raises whatever its code raises."""
    if not all(part.isidentifier() for part in name.split(".")):
        raise WorkflowError("it is neither a path that ends in .py nor a module such as shop.workflows")
    if not name.startswith("argosy."):
        _make_importable(Path.cwd())
    return importlib.import_module(name)


def _make_importable(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
        importlib.invalidate_caches()


def broken_of(entry: str, error: BaseException) -> Broken:
    """Return one line for an error of loading, with its innermost place outside importlib and argosy/workflow."""
    if isinstance(error, SyntaxError):
        return Broken(entry, f"SyntaxError: {error.msg}", f"{error.filename}:{error.lineno}")
    where = ""
    for frame in traceback.extract_tb(error.__traceback__):
        if "importlib" not in frame.filename and "/argosy/workflow/" not in frame.filename.replace("\\", "/"):
            where = f"{frame.filename}:{frame.lineno}"
    try:
        lines = str(error).splitlines()
    except Exception:  # the __str__ of a user's class may raise anything
        lines = []
    text = lines[0][:500] if lines else ""
    if isinstance(error, WorkflowError):
        return Broken(entry, text, where)
    return Broken(entry, f"{type(error).__name__}: {text}" if text else type(error).__name__, where)


def _place(definition: Workflow) -> str:
    code = definition.function.__code__
    return f"{code.co_filename}:{code.co_firstlineno}"
