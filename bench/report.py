"""The tables that the bench prints."""

import statistics
from typing import Any, Final, NamedTuple

_STRANGERS_MAX: Final = 0.2  # of a core: above it, what is measured is the machine


class Run(NamedTuple):
    """One run of one variant. cpu_s: CPU seconds by process; busy_s: of the whole machine, with other programs."""

    turns: int
    elapsed_s: float
    cpu_s: dict[str, float]
    busy_s: float = 0.0

    @property
    def rate(self) -> float:
        return self.turns / self.elapsed_s


class Finding(NamedTuple):
    """One number of one run, and its target. is_met None: it has no target and is there to compare with."""

    what: str
    seen: str
    asked: str
    is_met: bool | None

    @classmethod
    def ms(cls, what: str, seen: dict[str, float], p99_ms_max: float | None) -> "Finding":
        """Make a finding of p50 and p99 (of few samples: the longest); p99 has the target."""
        shown = f"p50 {seen['p50_ms']:.0f} ms, p99 {seen['p99_ms']:.0f} ms"
        if p99_ms_max is None:
            return cls(what, shown, "", None)
        return cls(what, shown, f"p99 ≤ {p99_ms_max:.0f} ms", seen["p99_ms"] <= p99_ms_max)


def summarise(runs: list[Run]) -> dict[str, Any]:
    """Return the medians over the runs."""
    names = runs[0].cpu_s
    return {
        "turns": runs[0].turns,
        "runs": len(runs),
        "turns_per_s": round(statistics.median(run.rate for run in runs), 1),
        "turns_per_s_all": [round(run.rate, 1) for run in runs],
        "cores": round(statistics.median(sum(run.cpu_s.values()) / run.elapsed_s for run in runs), 2),
        "cores_of_strangers": round(
            statistics.median(max(0.0, run.busy_s - sum(run.cpu_s.values())) / run.elapsed_s for run in runs), 2
        ),
        "turns_per_core_s": round(statistics.median(run.turns / sum(run.cpu_s.values()) for run in runs), 1),
        "cpu_us_per_turn": {
            name: round(statistics.median(run.cpu_s[name] / run.turns * 1e6 for run in runs), 1) for name in names
        },
    }


def print_table(result: dict[str, Any]) -> None:
    floor = result["throughput"].get("floor", {}).get("turns_per_s")
    print(f"\n{'':<22}{'turns/s':>9}{'of floor':>9}{'per core-s':>12}{'cores':>7}{'others':>8}   µs of CPU per turn")
    for name, row in result["throughput"].items():
        ratio = f"{row['turns_per_s'] / floor:.2f}" if floor else "-"
        shares = "  ".join(f"{part} {spent:.0f}" for part, spent in row["cpu_us_per_turn"].items())
        rates = f"{row['turns_per_s']:>9.0f}{ratio:>9}{row['turns_per_core_s']:>12.0f}"
        print(f"{name:<22}{rates}{row['cores']:>7.2f}{row['cores_of_strangers']:>8.2f}   {shares}")
    if busy := [name for name, row in result["throughput"].items() if row["cores_of_strangers"] > _STRANGERS_MAX]:
        print(f"others used more than {_STRANGERS_MAX} of a core meanwhile: {', '.join(busy)}")
    print(f"\n{'unsaturated, 20/s':<22}{'p50 ms':>9}{'p99 ms':>9}")
    for name, row in result["latency"].items():
        print(f"{name:<22}{row['p50_ms']:>9.1f}{row['p99_ms']:>9.1f}")
    print("\nworker")
    for name, value in result["worker"].items():
        print(f"  {name:<34}{value:>9}")


def print_findings(findings: list[Finding]) -> None:
    if not findings:
        return
    width = max(len(finding.what) for finding in findings)
    print(f"\n{'':<{width}}  {'asked':<16}{'':<9}seen")
    for what, seen, asked, is_met in findings:
        verdict = {True: "met", False: "NOT MET", None: ""}[is_met]
        print(f"{what:<{width}}  {asked:<16}{verdict:<9}{seen}")
