"""The kinds of things that an expression can stand for."""

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
    """What a call of `of` returned, or a parameter that is annotated so. made: the call, where there is one."""

    of: str | Class
    made: ast.Call | None = None


class Member(NamedTuple):
    """An attribute, or an attribute's attribute …, of an object of a package."""

    of: str
    path: tuple[str, ...]
    made: ast.Call | None = None


class Bound(NamedTuple):
    """A method of an object, or of a class by a class method."""

    function: Function


class Pending(NamedTuple):
    """A name that is being looked up already: `path = path.parent`. Its other bindings decide."""


Meaning = External | Object | Member | Bound | Function | Class | Module | Pending | None
PENDING: Final = Pending()


def made(of: Meaning, call: ast.Call | None) -> Meaning:
    """What a call of this returns, as far as it is known; without a call: what is annotated so."""
    match of:
        case External(name=name):
            return Object(RESULTS.get(name, name), call)
        case Class():
            return Object(of, call)
    return None


def is_object(meaning: Meaning, kind: str) -> bool:
    return isinstance(meaning, Object) and meaning.of == kind


def one(meanings: Iterable[Meaning]) -> Meaning:
    """What all of them are; None when they are not the same."""
    found = [each for each in meanings if each is not PENDING]
    if not found or any(_kind(each) != _kind(found[0]) for each in found):
        return None
    return found[0]


def _kind(meaning: Meaning) -> object:
    return meaning[:-1] if isinstance(meaning, (Object, Member)) else meaning
