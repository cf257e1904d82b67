"""Writes deploy/grafana/dashboards: `.venv/bin/python -m deploy.grafana`, after a change beside it."""

from pathlib import Path
from typing import Final

from deploy.grafana.board import Board, text_of
from deploy.grafana.fleet import FLEET
from deploy.grafana.shards import SHARDS
from deploy.grafana.slo import SLO
from deploy.grafana.turns import TURNS

BOARDS: Final[list[Board]] = [FLEET, TURNS, SHARDS, SLO]
FOLDER: Final = Path(__file__).parent / "dashboards"

if __name__ == "__main__":
    for board in BOARDS:
        (FOLDER / f"{board.name}.json").write_text(text_of(board), encoding="utf-8")
