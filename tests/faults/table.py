"""The table of `make faults`: a pytest plugin (`-p tests.faults.table`) that says what each scenario was to show.

A scenario is a test with `@pytest.mark.scenario("F12", "what is expected")`; a slow test without the mark is listed by
its name and the first line of its docstring. The table ends the terminal's summary, and --faults-table writes it to a
file, too. Quick scenarios are listed only when slow ones ran.
"""

import re
from collections.abc import Generator
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest

_NAME_WIDTH, _EXPECTED_WIDTH = 46, 64
_PROPERTY = "argosy-scenario"  # of a report: it travels from the processes of -n
_NOT_SHOWN = re.compile(r"\b(settings|eligible_s)\d+-?|-(settings|eligible_s)\d+")  # ids that pytest makes up


class Row(NamedTuple):
    """One line: seconds are those of the whole test, its servers' start and end included."""

    scenario: str
    expected: str
    outcome: str
    seconds: float
    why: str


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("faults")
    group.addoption("--faults-table", metavar="FILE", default="", help="write the table of scenarios to this file")
    group.addoption("--storm-seeds", metavar="N", type=int, default=1, help="how many storms, on each log")
    group.addoption("--storm-first-seed", metavar="SEED", type=int, default=1, help="the seed of the first storm")
    group.addoption("--watch-turns", metavar="N", type=int, default=100, help="how many turns are watched in a storm")
    group.addoption("--watch-seconds", metavar="S", type=float, default=20.0, help="for how long each of them speaks")
    group.addoption("--outage-s", metavar="S", type=float, default=40.0, help="for how long Postgres is away (F20)")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "scenario(name, expected): a line of the table of `make faults`")
    config.pluginmanager.register(Table(config), "faults-table")


class Table:
    """Collects rows while tests run."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._rows: dict[str, Row] = {}
        self._has_slow = False

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        is_slow = item.get_closest_marker("slow") is not None
        mark = item.get_closest_marker("scenario")
        if is_slow or mark is not None:
            why = "" if report.outcome == "passed" else _why(report)
            report.user_properties.append((_PROPERTY, [*_title(item, mark), is_slow, why]))
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add a report to its row: one of this process or, with -n, one that another process sent."""
        for name, value in report.user_properties[-1:]:
            if name != _PROPERTY:
                continue
            scenario, expected, is_slow, why = cast(tuple[str, str, bool, str], value)
            self._has_slow |= is_slow
            row = self._rows.get(report.nodeid) or Row(scenario, expected, "passed", 0.0, "")
            if report.outcome != "passed" and row.outcome == "passed":
                row = row._replace(outcome=report.outcome, why=why)
            self._rows[report.nodeid] = row._replace(seconds=row.seconds + report.duration)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if not self._has_slow:
            return
        lines = rendered(list(self._rows.values()))
        terminalreporter.section("faults")
        for line in lines:
            terminalreporter.line(line)
        if path := self._config.getoption("--faults-table"):
            Path(path).write_text("\n".join(lines) + "\n")


def _title(item: pytest.Item, mark: pytest.Mark | None) -> tuple[str, str]:
    chosen = _NOT_SHOWN.sub("", item.name.partition("[")[2].rstrip("]"))
    parameters = f" [{chosen}]" if chosen else ""
    if mark is not None:
        return f"{mark.args[0]}{parameters}", str(mark.args[1])
    name = item.name.partition("[")[0].removeprefix("test_").replace("_", " ")
    document = (getattr(getattr(item, "function", None), "__doc__", None) or "").strip().partition("\n")[0]
    return f"{Path(str(item.path)).stem.removeprefix('test_')}{parameters}", document or name


def _why(report: pytest.TestReport) -> str:
    """The first line of what went wrong."""
    crash = getattr(report.longrepr, "reprcrash", None)
    message = crash.message if crash is not None else report.longreprtext
    return str(message).strip().partition("\n")[0][:160]


def rendered(rows: list[Row]) -> list[str]:
    """Lines of text, in columns; a failure says why in a line of its own."""
    lines = [_line("scenario", "expected", "outcome", "seconds"), "-" * (_NAME_WIDTH + _EXPECTED_WIDTH + 22)]
    for row in rows:
        name, expected = _folded(row.scenario, _NAME_WIDTH), _folded(row.expected, _EXPECTED_WIDTH)
        lines.append(_line(name[0], expected[0], row.outcome, f"{row.seconds:.1f}"))
        for number in range(1, max(len(name), len(expected))):
            rest = (name[number : number + 1] or [""])[0], (expected[number : number + 1] or [""])[0]
            lines.append(_line(*rest, "", "").rstrip())
        if row.why:
            lines.append(f"    {row.outcome}: {row.why}")
    failed = sum(row.outcome == "failed" for row in rows)
    lines.append(f"{len(rows)} scenarios, {failed} failed, {sum(row.seconds for row in rows):.0f} s")
    return lines


def _line(scenario: str, expected: str, outcome: str, seconds: str) -> str:
    return f"{scenario:<{_NAME_WIDTH}}  {expected:<{_EXPECTED_WIDTH}}  {outcome:<8} {seconds:>8}"


def _folded(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
