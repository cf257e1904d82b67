"""The rules of deploy/prometheus/rules as data, and what their expressions name."""

import re
from pathlib import Path
from typing import Any, Final

import prometheus_client
import yaml

from argosy import telemetry

ROOT: Final = Path(__file__).parents[2]
RULES: Final = sorted((ROOT / "deploy" / "prometheus" / "rules").glob("*.yml"))

# What Prometheus says of itself and of what it scrapes.
OF_PROMETHEUS: Final = {
    "up",
    "prometheus_notifications_errors_total",
    "prometheus_rule_evaluation_failures_total",
    "prometheus_tsdb_compactions_failed_total",
}
# What prometheus_client says of every process, on Linux.
OF_PROCESSES: Final = {
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
}
_SUFFIXES: Final = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "info": ("_info",)}
_NAME: Final = re.compile(r"(?<![\w:.\"])(?:argosy|prometheus|process|python)[\w:]*|\bup\b(?=\{)")
_STRINGS: Final = re.compile(r'"[^"]*"')


def rules() -> list[dict[str, Any]]:
    """Every rule, in the order of the files."""
    return [rule for path in RULES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


def scraped_names() -> set[str]:
    """Every name under which a metric of the one table is scraped."""
    assert telemetry.REQUESTS  # its import has made them
    return {
        f"{family.name}{suffix}"
        for family in prometheus_client.REGISTRY.collect()
        if family.name.startswith("argosy_")
        for suffix in _SUFFIXES.get(family.type, ("",))
    }


def named(expression: str) -> set[str]:
    """The metrics that an expression names."""
    return set(_NAME.findall(_STRINGS.sub('""', expression)))
