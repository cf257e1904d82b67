"""`argosy fleet`: a table of lanes and workers as a gateway sees them, drawn again each second."""

from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from argosy.cli.credentials import open_client
from argosy.client import Client, ProblemError
from argosy.client.errors import NOT_A_GATEWAY
from argosy.clock import Clock, SystemClock
from argosy.errors import CallerError, UnavailableError
from argosy.process.stopping import Stopping

_INTERVAL_S: Final = 1.0  # one read of the gateway a second
_TIMEOUT_S: Final = 10.0  # a read: it needs less than the client's ANSWER_S, which leaves time for an append
_WORKERS_MAX: Final = 200  # the default of PAGE_SIZE_MAX, the gateway's bound of a page
_WIDTH_OF_A_PIPE: Final = 160  # used when stdout is no terminal, which would bound the width
_STATE_STYLE: Final = {"alive": "green", "silent": "yellow", "dead": "red"}

Fleet = dict[str, Any]


def show_fleet(url: str, *, is_once: bool, console: Console | None = None) -> int:
    """Draw the table each second until Ctrl-C, or once if is_once or the console is no terminal; return the exit code.

    When the gateway stops answering, the last table stays with a warning, and is drawn anew once the gateway answers.
    Raises UnavailableError, CallerError when the first call fails.
    """
    console, clock = console or Console(highlight=False), SystemClock()
    if not console.is_terminal:
        console.width = _WIDTH_OF_A_PIPE
    with open_client(url, retry_s=0) as client:
        first = read_fleet(client, url)
        if is_once or not console.is_terminal:
            console.print(draw(first, _now(clock)))
            return 0
        _watch(client, url, first, console, Stopping.on_signals(), clock)
    return 0


def read_fleet(client: Client, url: str) -> Fleet:
    """Return the first page of the gateway's list of workers, with its lanes. Raises UnavailableError, CallerError."""
    try:
        content = client.request("GET", f"/v1/fleet?limit={_WORKERS_MAX}", answer_s=_TIMEOUT_S)
        is_fleet, status = isinstance(content, dict) and {"lanes", "workers"} <= content.keys(), 200
    except ProblemError as error:
        if error.kind != NOT_A_GATEWAY:
            raise UnavailableError(f"the gateway at {url} cannot list the fleet: {error.detail}") from error
        is_fleet, status = False, error.status
    if not is_fleet:
        raise CallerError(f"what answers at {url} is no gateway of Argosy: {status}")
    return dict(content)


def draw(fleet: Fleet, now: datetime, warning: str = "") -> RenderableType:
    """Return the tables for one answer of the gateway. warning: why the answer is old; empty when it is new."""
    parts: list[RenderableType] = [_lanes(fleet["lanes"]), Text(), _workers(fleet["workers"], now)]
    if not fleet["workers"]:
        parts.append(Text("no worker has registered: start one with `argosy worker dispatch`", "yellow"))
    if fleet.get("next"):
        parts.append(Text(f"… and more workers than these {len(fleet['workers'])}: GET /v1/fleet lists them in pages"))
    if warning:
        parts.append(Text(warning, "red"))
    return Group(*parts)


def _table(title: str, *columns: str, wrapped: str) -> Table:
    """Return a table without borders, so that it fits a terminal of 80 columns. Only the column `wrapped` may break its
    lines.
    """
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column, no_wrap=column != wrapped, overflow="fold", header_style="dim", min_width=len(column))
    return table


def _lanes(lanes: list[Fleet]) -> Table:
    table = _table(
        "lanes", "lane", "partitions", "unowned", "owner dead", "lag", "running", "workers", wrapped="workers"
    )
    for each in lanes:
        workers = f"{each['workers_alive']} alive"
        for state in ("silent", "dead"):
            workers += f", {each[f'workers_{state}']} {state}" if each[f"workers_{state}"] else ""
        table.add_row(
            Text(each["lane"]),
            str(each["partitions"]),
            Text(str(each["unowned"]), "yellow" if each["unowned"] else ""),
            Text(str(each["owner_dead"]), "red" if each["owner_dead"] else ""),
            str(each["lag"]),
            f"{each['running']}/{each['slots']}",
            Text(workers),
        )
    return table


def _workers(workers: list[Fleet], now: datetime) -> Table:
    has_lanes = len({each["lane"] for each in workers}) > 1
    names = ("worker", "state", "running", "partitions", "ready", "lag", "process", "build", "up", "heard")
    table = _table("workers", *(("lane",) if has_lanes else ()), *names, wrapped="partitions")
    for each in workers:
        owned = f"{each['partition_count']}: {each['partitions']}" if each["partition_count"] else "none"
        up_s = (now - datetime.fromisoformat(each["started_at"])).total_seconds()
        table.add_row(
            *((Text(each["lane"]),) if has_lanes else ()),
            Text(each["worker_id"][:8]),
            Text("draining" if each["draining"] and each["state"] == "alive" else each["state"], _style(each)),
            f"{each['in_flight']}/{each['slots']}",
            Text(owned),
            str(each["ready_sessions"]),
            str(each["lag"]),
            Text(f"{each['host']}:{each['pid']}"),
            Text(each["build"]),
            in_words(up_s),
            in_words(each["heard_s"]),
        )
    return table


def _style(worker: Fleet) -> str:
    return "yellow" if worker["draining"] else _STATE_STYLE.get(worker["state"], "")


def in_words(seconds: float) -> str:
    """Return a duration in its shortest form: 0.4s, 12s, 3m, 5h, 2d."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f}s"
    for size_s, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= 2 * size_s:
            return f"{seconds / size_s:.0f}{unit}"
    return f"{seconds:.0f}s"


def _now(clock: Clock) -> datetime:
    return datetime.fromtimestamp(clock.unix_ms() / 1000, UTC)


def _watch(client: Client, url: str, fleet: Fleet, console: Console, stopping: Stopping, clock: Clock) -> None:
    read_at_s = clock.monotonic_s()
    with Live(draw(fleet, _now(clock)), console=console, auto_refresh=False, transient=False) as live:
        while not stopping.wait(_INTERVAL_S):
            warning = ""
            try:
                fleet, read_at_s = read_fleet(client, url), clock.monotonic_s()
            except (UnavailableError, CallerError) as error:
                warning = f"{error} (shown: {in_words(clock.monotonic_s() - read_at_s)} ago)"
            live.update(draw(fleet, _now(clock), warning), refresh=True)
