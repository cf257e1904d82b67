"""A check of a text, as short as a test wants it."""

from pathlib import Path
from textwrap import dedent, indent

from argosy.check.checker import Report, check

HEAD = "import asyncio\nimport argosy\nfrom argosy import Context, SyncContext, step, workflow\n"


def write(folder: Path, text: str, name: str = "my.py") -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text), encoding="utf-8")
    return str(path)


def report_of(folder: Path, text: str) -> Report:
    """Of a whole file."""
    return check([write(folder, text)], folder)


def codes_of(folder: Path, body: str, before: str = "", kind: str = "async def") -> list[str]:
    """Of the body of a workflow; before: what stands before it in its file."""
    report = report_of(folder, workflow_of(body, before, kind))
    assert [each.name for each in report.workflows] == ["f"], report
    return [finding.code for finding in report.findings]


def workflow_of(body: str, before: str = "", kind: str = "async def") -> str:
    return (
        f"{HEAD}{dedent(before)}\n@workflow\n{kind} f(ctx, order):\n{indent(dedent(body).strip() or 'pass', '    ')}\n"
    )
