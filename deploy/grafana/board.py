"""Dashboards as tables of what is asked, and what Grafana reads of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models

RATE: Final = "$__rate_interval"
_COLUMNS: Final = 24  # of Grafana's grid
_SOURCE: Final = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
_NUMBER_HEIGHT: Final = 4
_GRAPH_HEIGHT: Final = 8


@dataclass(frozen=True)
class Panel:
    """One question: queries by their legend, and what an answer means.

    unit: as Grafana names it. red_from: from where on an answer is bad, green_from: good; without them it is for
    reading alone.
    """

    title: str
    meaning: str
    queries: Mapping[str, str]
    unit: str = "short"
    red_from: float | None = None
    green_from: float | None = None


@dataclass(frozen=True)
class Number(Panel):
    """The answer of now, as one number for each series."""


@dataclass(frozen=True)
class Row:
    title: str
    panels: list[Panel]


@dataclass(frozen=True)
class Board:
    """A dashboard. name: of its file, and of its address in Grafana."""

    name: str
    title: str
    meaning: str
    rows: list[Row]
    since: str = "now-3h"
    numbers: list[Number] = field(default_factory=list)

    @property
    def panels(self) -> list[Panel]:
        return [*self.numbers, *(panel for row in self.rows for panel in row.panels)]


def quantile(q: float, histogram: str, by: str = "", where: str = "") -> str:
    """Return the expression of a quantile of a histogram, over all processes."""
    buckets = f"sum by (le{', ' + by if by else ''}) (rate({histogram}_bucket{where}[{RATE}]))"
    return f"histogram_quantile({q:g}, {buckets})"


def rate(counter: str, by: str = "", where: str = "") -> str:
    """Return the expression of how often a second a counter counts, over all processes."""
    return f"sum{' by (' + by + ') ' if by else ''}(rate({counter}{where}[{RATE}]))"


def text_of(board: Board) -> str:
    """Return what Grafana reads."""
    return JSONEncoder(sort_keys=True, indent=1).encode(_built(board)) + "\n"


def _built(board: Board) -> models.Dashboard:
    made = (
        dashboard.Dashboard(board.title)
        .uid(f"argosy-{board.name}")
        .description(board.meaning)
        .tags(["argosy"])
        .time(board.since, "now")
        .refresh("30s")
        .timezone(common_models.TimeZoneBrowser)
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .readonly()
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .link(
            dashboard.DashboardLink("Argosy")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags(["argosy"])
            .as_dropdown(True)
            .include_vars(True)
            .keep_time(True)
        )
    )
    at = _Grid()
    if board.numbers:
        for number in board.numbers:
            made = made.with_panel(_panel(number).grid_pos(at.next(_COLUMNS // len(board.numbers), _NUMBER_HEIGHT)))
    for row in board.rows:
        made = made.with_row(dashboard.Row(row.title).grid_pos(at.line()))
        for panel in row.panels:
            made = made.with_panel(_panel(panel).grid_pos(at.next(_COLUMNS // min(3, len(row.panels)), _GRAPH_HEIGHT)))
    built = made.build()
    for variable in built.templating.list_val or []:
        # The SDK gives every variable what only one of intervals has, and Grafana's schema refuses that.
        variable.auto = variable.auto_min = variable.auto_count = None
    return built


class _Grid:
    """Where the next panel is."""

    def __init__(self) -> None:
        self._x = self._y = self._height = 0

    def line(self) -> models.GridPos:
        """A line of its own."""
        self._break()
        self._y += 1
        return models.GridPos(x=0, y=self._y - 1, w=_COLUMNS, h=1)

    def next(self, width: int, height: int) -> models.GridPos:
        if self._x + width > _COLUMNS:
            self._break()
        found = models.GridPos(x=self._x, y=self._y, w=width, h=height)
        self._x, self._height = self._x + width, height
        return found

    def _break(self) -> None:
        self._y, self._x, self._height = self._y + self._height, 0, 0


def _panel(panel: Panel) -> Any:
    is_number = isinstance(panel, Number)
    made: Any = stat.Panel() if is_number else timeseries.Panel()
    made = made.title(panel.title).description(panel.meaning).unit(panel.unit).datasource(_SOURCE)
    for number, (legend, expression) in enumerate(panel.queries.items()):
        query = prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(chr(ord("A") + number))
        made = made.with_target((query.instant() if is_number else query.range()).datasource(_SOURCE))
    made = made.thresholds(dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(_steps(panel)))
    if is_number:
        return made.graph_mode(common_models.BigValueGraphMode.NONE)
    if panel.red_from is not None:
        style = common.GraphThresholdsStyleConfig().mode(common_models.GraphThresholdsStyleMode.LINE)
        made = made.thresholds_style(style)
    return made.min(0).fill_opacity(8).tooltip(common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.MULTI))


def _steps(panel: Panel) -> list[models.Threshold]:
    """Return from where on a panel has which colour; one without any would get Grafana's: red from 80 on."""
    if panel.green_from is not None:
        return [models.Threshold(None, "red"), models.Threshold(panel.green_from, "green")]
    red = [] if panel.red_from is None else [models.Threshold(panel.red_from, "red")]
    return [models.Threshold(None, "green"), *red]
