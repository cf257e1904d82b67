"""Alerts fire when they should and not before, by Prometheus's own judgement, and each can be acted on."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.deploy.alert_cases import CALM, CASES, Case
from tests.deploy.rules_files import OF_PROCESSES, OF_PROMETHEUS, ROOT, RULES, named, rules, scraped_names

ALERTS: Final = {rule["alert"]: rule for rule in rules() if "alert" in rule}
RECORDED: Final = {rule["record"] for rule in rules() if "record" in rule}
RUNBOOK: Final = "docs/operate/alerts.md"


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run promtool; skip when it is not here."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("there is no promtool: install Debian's package prometheus")
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=60)


def _shown(text: str, labels: dict[str, str]) -> str:
    return re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda found: labels[found[1]], text)


def _expected(case: Case) -> dict[str, Any]:
    rule = ALERTS[case.alert]
    annotations = {name: _shown(text, case.labels) for name, text in rule["annotations"].items()}
    return {"exp_labels": {**case.labels, **rule["labels"]}, "exp_annotations": annotations}


def _write_tests(
    folder: Path, alert: str, interval: str, asked: list[tuple[dict[str, str], list[dict[str, Any]]]]
) -> str:
    """Write a file of promtool's, for this alert alone: with all rules at each step of each it would take a while."""
    used = [rule for rule in rules() if rule.get("record") in named(ALERTS[alert]["expr"])]
    groups = [{"name": "recorded", "rules": used}, {"name": "asked", "rules": [ALERTS[alert]]}]
    file = folder / f"{alert}-{interval}.yml"
    only = file.with_suffix(".rules")
    only.write_text(yaml.safe_dump({"groups": groups}))
    tests = [
        {
            "interval": interval,
            "input_series": [{"series": name, "values": text} for name, text in series.items()],
            "alert_rule_test": [{"alertname": alert, **each} for each in expected],
        }
        for series, expected in asked
    ]
    content = {"rule_files": [str(only)], "evaluation_interval": interval, "tests": tests}
    # In Prometheus the recorded is never older than one interval, here it would be as often as not.
    file.write_text(yaml.safe_dump(content | {"group_eval_order": ["recorded", "asked"]}))
    return str(file)


def test_every_alert_fires_when_it_should_and_not_before(tmp_path: Path) -> None:
    files = []
    for case in CASES:
        before = {"eval_time": case.quiet, "exp_alerts": []}
        then = {"eval_time": case.fires, "exp_alerts": [_expected(case)]}
        calm = [(each.series, [{"eval_time": each.at, "exp_alerts": []}]) for each in CALM if each.alert == case.alert]
        files.append(_write_tests(tmp_path, case.alert, case.interval, [(case.series, [before, then]), *calm]))

    result = promtool("test", "rules", *files)

    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("SUCCESS") == len(CASES)


def test_every_alert_has_such_a_case() -> None:
    assert {case.alert for case in CASES} == set(ALERTS)
    assert {calm.alert for calm in CALM} <= set(ALERTS)


def test_rules_and_configuration_are_what_prometheus_takes() -> None:
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", *map(str, RULES))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    checked = promtool("check", "config", "--syntax-only", str(ROOT / "deploy" / "prometheus" / "prometheus.yml"))
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_rules_ask_for_what_is_measured(rule: dict[str, Any]) -> None:
    known = scraped_names() | OF_PROCESSES | OF_PROMETHEUS | RECORDED

    assert named(rule["expr"])
    assert named(rule["expr"]) - known == set()


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ('sum by (job) (up{job=~".*argosy.*"}) == 0', {"up"}),
        ('rate(argosy_x_total{route="argosy_y"}[5m]) / argosy:z:rate5m', {"argosy_x_total", "argosy:z:rate5m"}),
        ("changes(process_start_time_seconds[1h])", {"process_start_time_seconds"}),
    ],
)
def test_the_search_for_names_sees_metrics_and_not_labels(expression: str, names: set[str]) -> None:
    assert named(expression) == names


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    headings = re.findall(r"^### (\w+)$", (ROOT / RUNBOOK).read_text(), re.MULTILINE)

    assert sorted(headings) == sorted(ALERTS)
    for name, rule in ALERTS.items():
        assert rule["labels"] in ({"severity": "page"}, {"severity": "ticket"}), name
        assert set(rule["annotations"]) == {"summary", "runbook_url"}, name
        assert rule["annotations"]["runbook_url"] == f"{RUNBOOK}#{name.lower()}"


def test_what_silences_an_alert_names_alerts() -> None:
    config = yaml.safe_load((ROOT / "deploy" / "alertmanager" / "alertmanager.yml").read_text())
    named_there = {
        found[1]
        for rule in config["inhibit_rules"]
        for side in ("source_matchers", "target_matchers")
        for matcher in rule[side]
        if (found := re.fullmatch(r'alertname="(\w+)"', matcher))
    }

    assert named_there
    assert named_there <= set(ALERTS)
