"""Checks files: finds the workflows that they declare, and applies the rules to the code that these run."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from argosy.check.declared import declared_name, workflows_of
from argosy.check.finding import CODES, Finding, Found
from argosy.check.library import Library
from argosy.check.look import Look
from argosy.check.meaning import Meanings
from argosy.check.module import Function, Module
from argosy.check.reach import reach
from argosy.check.rules import RULES
from argosy.check.source import Source
from argosy.errors import WorkflowError


class Checked(NamedTuple):
    """A workflow that was checked. path, line: where it is defined."""

    name: str
    path: str
    line: int


class Report(NamedTuple):
    """The result of a check. unreadable: one line for each file that could not be read or parsed. suppressed: the
    number of findings that comments (`# argosy: ok`) suppress.
    """

    findings: list[Finding]
    workflows: list[Checked]
    unreadable: list[str]
    suppressed: int


def check(entries: Sequence[str], folder: Path) -> Report:
    """Check these files and modules. folder: the current folder, in which imports are looked for, too."""
    library = Library(folder)
    meanings = Meanings(library)
    unreadable: list[str] = []
    modules: list[Module] = []
    for entry in dict.fromkeys(entries):
        try:
            modules.append(library.enter(entry))
        except WorkflowError as error:
            unreadable.append(f"{entry}: {error}")
    workflows = list(dict.fromkeys(each for module in modules for each in workflows_of(module, meanings)))
    found = list(_findings(workflows, meanings))
    sources = {each.source.shown: each.source for each in (*modules, *(each.module for each in workflows))}
    kept = sorted({each for each, is_suppressed in found if not is_suppressed} | set(_unknown_codes(sources.values())))
    checked = [Checked(declared_name(each, meanings), each.module.source.shown, each.node.lineno) for each in workflows]
    return Report(kept, checked, unreadable + library.unreadable, sum(is_suppressed for _, is_suppressed in found))


def _findings(workflows: list[Function], meanings: Meanings) -> Iterator[tuple[Finding, bool]]:
    reached = reach(workflows, meanings)
    functions = frozenset(each.function for each in reached)
    made = frozenset(node for each in functions for node in each.scope.nodes)
    for each in reached:
        look = Look(each, meanings, functions, made)
        source = each.function.module.source
        workflow = declared_name(each.workflow, meanings)
        for found in dict.fromkeys(found for rule in RULES for found in rule(look)):
            finding = _finding(found, source, "" if each.function is each.workflow else each.function.name, workflow)
            lines = (found.line, found.last_line, look.statement_end(found.line))
            yield finding, any(source.is_suppressed(line, found.code) for line in lines)


def _finding(found: Found, source: Source, function: str, workflow: str) -> Finding:
    column = source.column(found.line, found.offset)
    return Finding(source.shown, found.line, column, found.code, found.message, function, workflow)


def _unknown_codes(sources: Iterable[Source]) -> Iterator[Finding]:
    for source in sources:
        for line, codes in source.suppressed.items():
            for code in sorted(codes - CODES.keys()):
                message = f"there is no code {code!r}, so nothing is suppressed: the codes are {', '.join(CODES)}"
                column = source.lines[line - 1].rfind("#") + 1
                yield Finding(source.shown, line, column, "suppression", message, "", "")
