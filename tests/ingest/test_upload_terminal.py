"""`argosy graph ingest` as a person sees it, in a terminal of 80 columns, while the gateway is started anew."""

import re
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.harness.fleet import Fleet
from tests.harness.processes import ARGOSY
from tests.harness.terminal import lines_shown, to_its_end
from tests.ingest.hand import nodes

LINES = 200_000
COLUMNS = 80


@pytest.mark.slow
@pytest.mark.parametrize("log_name", ["postgres"])
def test_the_bar_of_an_upload_fits_its_terminal_and_outlives_gateways(idle_fleet: Fleet, tmp_path: Path) -> None:
    def restarted() -> None:
        next(each for each in reversed(idle_fleet.processes) if each.name == "gateway").kill()
        idle_fleet.gateway()

    idle_fleet.gateway()
    idle_fleet.ingest_worker()
    file = tmp_path / f"{'things-' * 12}船.ndjson"  # longer than a line is wide
    file.write_bytes(b"\n".join(nodes(LINES)))

    code, shown = to_its_end(
        [str(ARGOSY), "graph", "ingest", "things", str(file), "--url", idle_fleet.url],
        idle_fleet.environment | {"COLUMNS": "", "LANG": "C.UTF-8"},
        columns=COLUMNS,
        meanwhile=[("MB sent", restarted), ("applied, ", restarted)],
        within_s=150,
    )

    *drawn, last = [each for each in lines_shown(shown) if each.strip()]
    assert code == 0, shown[-2_000:]
    assert f"done, {LINES} lines, {LINES} applied, 0 rejected (job " in last
    assert max(map(cell_len, drawn)) <= COLUMNS
    sent = [float(each) for line in drawn for each in re.findall(r"([0-9.,]+) MB sent", line)]
    applied = [int(each.replace(",", "")) for line in drawn for each in re.findall(r"([0-9,]+) applied", line)]
    assert sent
    assert applied == sorted(applied)
    assert applied[-1] > 0
    assert "Traceback" not in shown
