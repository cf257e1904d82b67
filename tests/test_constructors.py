"""What a constructor takes: few collaborators, and functions only where a function is what is meant.

A part that tells others what happened takes one collaborator for that (`then`), whose methods have names; a part that
asks another one takes that part. A function that only forwards a call hides which of the two it is, and whom it calls.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import pytest

ROOT: Final = Path(__file__).parents[1]
PACKAGES: Final = ("argosy", "gateway", "workers", "shards")
COLLABORATORS_MAX: Final = 7

# Take more than seven, and why.
LARGE: Final = {
    "Turn": "data: what a turn is known by",
    "Subscriber": "data: what a gateway asks for",
}
# Functions that are meant: (class, parameter), and what the function is.
MEANT: Final = {
    ("Argosy", "workflows"): "the user's code",
    ("Embedder", "function"): "the user's code",
    ("Job", "call"): "the user's code",
    ("OwnThread", "function"): "the user's code",
    ("StepOperation", "function"): "the user's code",
    ("Workflow", "function"): "the user's code",
    ("_Asked", "operation"): "the user's code",
    ("MemberThread", "make"): "a factory",
    ("TaskPart", "run"): "a factory: the part's coroutine",
    ("ValueOperation", "make"): "a factory",
    ("Handle", "callback"): "asyncio's handle API",
    ("Timer", "callback"): "asyncio's handle API",
    ("ValueOperation", "read"): "a format",
    ("_Search", "interrupt"): "asked thousands of times a second whether to stop",
    ("Walk", "interrupt"): "asked whether to stop, after each mebibyte",
}
# Public attributes that are functions, and that others set once the object is made: (class, attribute).
SET_LATER: Final = {
    ("Channels", "listener"): "set and taken away, as followers come and go; None on the path of almost every emit",
    ("Job", "on_begin"): "the caller's, for a call that waits for a thread",
}
FUNCTIONS_MAX: Final = 15


class Parameter(NamedTuple):
    owner: str
    name: str
    annotation: str


@cache
def _modules() -> dict[str, ast.Module]:
    """The modules of the product, by the names under which they are imported."""
    return {
        ".".join((*(("argosy",) if package != "argosy" else ()), *path.relative_to(ROOT).with_suffix("").parts)): (
            ast.parse(path.read_text())
        )
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if "_pb2" not in path.name
    }


@pytest.fixture(scope="module", autouse=True)
def _forgotten() -> Iterator[None]:
    """The trees are millions of objects: the garbage collector is not to look at them in the tests that follow."""
    yield
    _modules.cache_clear()
    _given.cache_clear()


def _classes(module: ast.Module) -> Iterator[ast.ClassDef]:
    return (node for node in ast.walk(module) if isinstance(node, ast.ClassDef))


def _names_made(module: ast.Module) -> Iterator[str]:
    """The names that a module gives to functions: aliases, and protocols that are called."""
    for node in module.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("Callable["):
            yield from map(ast.unparse, node.targets)
        if (
            isinstance(node, ast.ClassDef)
            and "Protocol" in map(ast.unparse, node.bases)
            and any(isinstance(each, ast.FunctionDef) and each.name == "__call__" for each in node.body)
        ):
            yield node.name


@cache
def _given() -> frozenset[tuple[str, str]]:
    """Where the names for functions can be imported from: (module, name)."""
    return frozenset((dotted, name) for dotted, module in _modules().items() for name in _names_made(module))


def _names_of_functions(module: ast.Module) -> set[str]:
    """The words of the module's annotations that mean a function."""
    imported = {
        each.asname or each.name
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom)
        for each in node.names
        if (node.module or "", each.name) in _given()
    }
    return {"Callable", *imported, *_names_made(module)}


def _words(annotation: str) -> set[str]:
    return set(re.findall(r"\w+", annotation))


def _functions(module: ast.Module) -> Iterator["Parameter"]:
    """The parameters of constructors that are functions, also by a name that the module has for their type."""
    names = _names_of_functions(module)
    for each in _classes(module):
        for parameter in _parameters(each):
            if names & _words(parameter.annotation):
                yield parameter


def _attributes(module: ast.Module) -> Iterator[tuple[str, str]]:
    """The public attributes of classes that are functions, and that no parameter of the constructor says."""
    names = _names_of_functions(module)
    for each in _classes(module):
        made = {parameter.name for parameter in _parameters(each)}
        for node in ast.walk(each):
            if isinstance(node, ast.AnnAssign) and names & _words(ast.unparse(node.annotation)):
                target = ast.unparse(node.target).removeprefix("self.")
                if target not in made and not target.startswith("_"):
                    yield each.name, target


def _arguments(node: ast.ClassDef) -> list[ast.arg]:
    """Return what `__init__` of the class takes, without self."""
    for each in node.body:
        if isinstance(each, ast.FunctionDef) and each.name == "__init__":
            return [*each.args.posonlyargs, *each.args.args, *each.args.kwonlyargs][1:]
    return []


def _parameters(node: ast.ClassDef) -> Iterator[Parameter]:
    """The parameters of `__init__`, or the fields of a class whose `__init__` is made from them."""
    for argument in _arguments(node):
        yield Parameter(
            node.name, argument.arg, "" if argument.annotation is None else ast.unparse(argument.annotation)
        )
    makers = " ".join(map(ast.unparse, [*node.bases, *node.decorator_list]))
    if any(maker in makers for maker in ("NamedTuple", "dataclass", "Struct")):
        for field in node.body:
            if isinstance(field, ast.AnnAssign):
                yield Parameter(node.name, ast.unparse(field.target), ast.unparse(field.annotation))


def test_constructors_take_at_most_seven_collaborators() -> None:
    assert {
        each.name
        for module in _modules().values()
        for each in _classes(module)
        if len(_arguments(each)) > COLLABORATORS_MAX
    } == LARGE.keys()


def test_constructors_take_no_function_that_only_forwards_a_call() -> None:
    functions = [each for module in _modules().values() for each in _functions(module)]
    meant = {(each.owner, each.name) for each in functions} & MEANT.keys()

    assert meant == MEANT.keys()
    assert [each for each in functions if (each.owner, each.name) not in MEANT] == []


def test_objects_are_given_few_functions_in_all() -> None:
    """Each function that an object keeps is a call that a reader cannot follow by name, so there are few in all, and a
    new one has to take the place of another.

    A function that a method is given is none of them: it is used during that call, or the method is there to take it
    (`LogReader.open`), and the class keeps it under a private name.
    """
    assert {each for module in _modules().values() for each in _attributes(module)} == SET_LATER.keys()
    assert len(MEANT) <= FUNCTIONS_MAX
