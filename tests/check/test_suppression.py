"""A remark at the end of a line says that a finding there is meant."""

from pathlib import Path

import pytest

from tests.check.checking import report_of, workflow_of


@pytest.mark.parametrize(
    "line",
    [
        "time.time()  # argosy: ok",
        "time.time()  # argosy: ok[time]",
        "time.time()  # noqa: S311  # argosy: ok[random, time] only for the log",
        "print(\n    time.time(),\n)  # argosy: ok[time]",
        "print(\n    time.time(),  # argosy: ok\n)",
        "#argosy:ok\ntime.time()  #argosy:ok[time]",
    ],
)
def test_a_remark_suppresses_what_is_found_in_its_statement(tmp_path: Path, line: str) -> None:
    report = report_of(tmp_path, workflow_of(line, "import time"))

    assert (report.findings, report.suppressed) == ([], 1)


@pytest.mark.parametrize(
    "line",
    [
        "time.time()  # argosy: ok[random]",
        "time.time()  # argosy: okay",
        "# argosy: ok\ntime.time()",
        "time.time(); '# argosy: ok'",
        "if time.time():\n    pass  # argosy: ok",
    ],
)
def test_any_other_remark_does_not(tmp_path: Path, line: str) -> None:
    report = report_of(tmp_path, workflow_of(line, "import time"))

    assert [each.code for each in report.findings] == ["time"]


def test_a_code_that_does_not_exist_is_noted(tmp_path: Path) -> None:
    report = report_of(tmp_path, workflow_of("pass  # argosy: ok[tiem]"))

    (note,) = report.findings
    assert (note.code, note.is_note) == ("suppression", True)
    assert "no code 'tiem'" in note.message
