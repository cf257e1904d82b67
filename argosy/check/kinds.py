"""The kinds of meaning that an expression can have for the check."""

import ast
from collections.abc import Iterable
from typing import Final, NamedTuple

from argosy.check.external import RESULTS
from argosy.check.module import Class, Function, Module

CONTEXT: Final = "argosy.Context"
SYNC_CONTEXT: Final = "argosy.SyncContext"


class External(NamedTuple):
    """Something outside the user's files, by its full name."""

    name: str


class Object(NamedTuple):
    """An object that a call of `of` returned, or a name annotated with `of`. made: the call, if there is one."""

    of: str | Class
    made: ast.Call | None = None


class Member(NamedTuple):
    """An attribute of a package's object, or an attribute of such an attribute, and so on. path: their names."""

    of: str
    path: tuple[str, ...]
    made: ast.Call | None = None


class Bound(NamedTuple):
    """A method that is bound to an object, or a class method that is bound to its class."""

    function: Function


class Pending(NamedTuple):
    """The meaning of a name that depends on itself, as in `path = path.parent`: its other bindings decide."""


Meaning = External | Object | Member | Bound | Function | Class | Module | Pending | None
PENDING: Final = Pending()


def made(of: Meaning, call: ast.Call | None) -> Meaning:
    """Return the meaning of the result of a call; with call None, of a name annotated with `of`. None when unknown."""
    match of:
        case External(name=name):
            return Object(RESULTS.get(name, name), call)
        case Class():
            return Object(of, call)
    return None


def is_object(meaning: Meaning, kind: str) -> bool:
    return isinstance(meaning, Object) and meaning.of == kind


def one(meanings: Iterable[Meaning]) -> Meaning:
    """Return the meaning that all of these share, leaving PENDING out; None when they differ."""
    found = [each for each in meanings if each is not PENDING]
    if not found or any(_kind(each) != _kind(found[0]) for each in found):
        return None
    return found[0]


def _kind(meaning: Meaning) -> object:
    return meaning[:-1] if isinstance(meaning, (Object, Member)) else meaning
