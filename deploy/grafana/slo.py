"""SLO: are the objectives kept, and how fast do their error budgets burn."""

from typing import Final

from deploy.grafana.board import Board, Number, Panel, Row, quantile

# Of each objective: the part that was bad and how much there was, as deploy/prometheus/rules has them; what may be bad.
AVAILABILITY: Final = ("argosy:gateway_errors:ratio_rate", "argosy:gateway_requests:rate1h", 0.001)
LATENCY: Final = ("argosy:turns_begun_late:ratio_rate", "argosy:turns_begun:rate1h", 0.01)
_MONTH: Final = 1.0  # times as fast as allowed: the budget of 30 days lasts for 30 days
_PAGES: Final = 14.4  # for an hour: 2 % of the budget are gone
# As the alerts ask (deploy/prometheus/rules/alerts.yml): what a pair of windows tells, and from which burn on.
PAIRS: Final = (
    ("pages", ("5m", "1h"), _PAGES),
    ("pages, slower", ("30m", "6h"), 6.0),
    ("makes a ticket", ("2h", "1d"), 3.0),
    ("makes a ticket, slower", ("6h", "3d"), _MONTH),
)


def _burn(objective: tuple[str, str, float], window: str) -> str:
    bad, _, allowed = objective
    return f"{bad}{window} / {allowed:g}"


def _left(objective: tuple[str, str, float]) -> str:
    """Return the expression of what is left of the budget of 30 days; every hour counts by how much was asked in it.

    Of an hour in which nothing was asked the part is no number, and would make none of the sum: `>= 0` leaves it out.
    """
    bad, amount, allowed = objective
    lost = f"sum_over_time((({bad}1h >= 0) * {amount})[30d:5m]) / sum_over_time({amount}[30d:5m])"
    return f"1 - {lost} / {allowed:g}"


def _numbers(what: str, objective: tuple[str, str, float]) -> list[Number]:
    return [
        Number(
            f"{what}: budget left",
            "Of 30 days, or of as long as Prometheus has been asking. Below 0 the objective is not kept.",
            {"": _left(objective)},
            "percentunit",
            green_from=0,
        ),
        Number(f"{what}: burn, 1 h", "1: just what is allowed.", {"": _burn(objective, "1h")}, red_from=_PAGES),
        Number(f"{what}: burn, 3 d", "1: just what is allowed.", {"": _burn(objective, "3d")}, red_from=_MONTH),
    ]


def _burns(objective: tuple[str, str, float]) -> list[Panel]:
    meaning = "How many times as fast as allowed the budget is used up. The alert needs both windows above the line."
    return [
        Panel(f"Burn that {what}", meaning, {window: _burn(objective, window) for window in windows}, red_from=red_from)
        for what, windows, red_from in PAIRS
    ]


SLO: Final = Board(
    "slo",
    "Argosy: objectives",
    "Whether objectives are kept: 99.9 % of requests without an error of ours; 99 % of turns begun within a second.",
    since="now-24h",
    numbers=[*_numbers("Requests", AVAILABILITY), *_numbers("Turns", LATENCY)],
    rows=[
        Row(
            "Requests: 99.9 % are answered without an error of ours",
            [
                *_burns(AVAILABILITY),
                Panel(
                    "Requests",
                    "A second; probes and scrapes do not count.",
                    {"5m": "argosy:gateway_requests:rate5m", "1h": "argosy:gateway_requests:rate1h"},
                    "reqps",
                ),
                Panel(
                    "Errors of ours",
                    "A part of all requests.",
                    {"5m": "argosy:gateway_errors:ratio_rate5m", "1h": "argosy:gateway_errors:ratio_rate1h"},
                    "percentunit",
                    red_from=AVAILABILITY[2],
                ),
            ],
        ),
        Row(
            "Turns: 99 % begin within a second",
            [
                *_burns(LATENCY),
                Panel("Turns begun", "A second.", {"1h": "argosy:turns_begun:rate1h"}, "ops"),
                Panel(
                    "Time until a turn begins",
                    "From when it was accepted, or fell due.",
                    {"p99": quantile(0.99, "argosy_turn_queued_seconds")},
                    "s",
                    red_from=1,
                ),
            ],
        ),
    ],
)
