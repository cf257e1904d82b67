"""Formats a report for people and for machines."""

import json
from collections.abc import Iterator

from argosy.check.checker import Report
from argosy.check.finding import Finding
from argosy.printable import printable


def lines_of(report: Report) -> Iterator[str]:
    """Yield one line for each finding, in the form of a compiler's messages, then a summary."""
    for finding in report.findings:
        yield printable(_line(finding)).replace("\n", "\\n")
    if report.workflows:
        yield printable(_summary(report)).replace("\n", "\\n")


def json_of(report: Report) -> str:
    """Return the report as one JSON object."""
    return json.dumps(
        {
            "findings": [{**each._asdict(), "is_note": each.is_note} for each in report.findings],
            "workflows": [each._asdict() for each in report.workflows],
            "unreadable": report.unreadable,
            "suppressed": report.suppressed,
        },
        indent=2,
    )


def exit_code(report: Report) -> int:
    """Return the exit code: 0 when nothing but notes was found, 1 when something else was, 2 when a file could not be
    read or there is no workflow.
    """
    if report.unreadable or not report.workflows:
        return 2
    return 1 if any(not each.is_note for each in report.findings) else 0


def _line(finding: Finding) -> str:
    where = f"{finding.path}:{finding.line}:{finding.column}"
    kind = f"note: {finding.code}" if finding.is_note else finding.code
    by = f" (in {finding.function}, which {finding.workflow} runs)" if finding.function else ""
    return f"{where}: {kind}: {finding.message}{by}"


def _summary(report: Report) -> str:
    notes = sum(each.is_note for each in report.findings)
    counts = [_count(len(report.findings) - notes, "finding")]
    counts += [_count(notes, "note")] if notes else []
    counts += [f"{report.suppressed} suppressed"] if report.suppressed else []
    names = ", ".join(dict.fromkeys(each.name for each in report.workflows))
    return f"{', '.join(counts)}; {_count(len(report.workflows), 'workflow')} looked at: {names}"


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"
