"""Dashboards are what their generator writes, Grafana can read them, and they ask for what is measured."""

import copy
import json
from itertools import pairwise
from typing import Any, Final

import jsonschema
import pytest

from deploy.grafana.__main__ import BOARDS, FOLDER
from deploy.grafana.board import Board, text_of
from deploy.grafana.slo import AVAILABILITY, LATENCY, PAIRS
from tests.deploy.rules_files import OF_PROCESSES, OF_PROMETHEUS, ROOT, named, rules, scraped_names

SCHEMA: Final = jsonschema.Draft7Validator(
    json.loads((ROOT / "tests" / "deploy" / "grafana_dashboard_schema.json").read_text())
)
EACH_BOARD: Final = pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)


@pytest.fixture(scope="module")
def known() -> set[str]:
    """Every name that can be asked for."""
    return scraped_names() | OF_PROCESSES | OF_PROMETHEUS | {rule["record"] for rule in rules() if "record" in rule}


def _read(board: Board) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FOLDER / f"{board.name}.json").read_text())
    return content


@EACH_BOARD
def test_a_file_is_what_the_generator_writes_today(board: Board) -> None:
    assert (FOLDER / f"{board.name}.json").read_text() == text_of(board), "run .venv/bin/python -m deploy.grafana"


def test_every_file_is_of_a_board() -> None:
    assert sorted(path.name for path in FOLDER.glob("*.json")) == sorted(f"{board.name}.json" for board in BOARDS)


@EACH_BOARD
def test_a_dashboard_is_one_by_grafanas_schema(board: Board) -> None:
    assert [error.message for error in SCHEMA.iter_errors(_read(board))] == []


def test_the_schema_finds_an_unknown_field_and_a_wrong_type() -> None:
    wrong = copy.deepcopy(_read(BOARDS[0]))
    wrong["titel"] = "a"
    wrong["panels"][0]["gridPos"]["w"] = "wide"

    assert len(list(SCHEMA.iter_errors(wrong))) == 2


@EACH_BOARD
def test_panels_ask_for_what_is_measured_and_say_what_that_means(board: Board, known: set[str]) -> None:
    for panel in board.panels:
        assert panel.meaning.endswith("."), panel.title
        for expression in panel.queries.values():
            assert named(expression) or "ALERTS{" in expression
            assert named(expression) - known == set(), panel.title


@EACH_BOARD
def test_everything_that_is_written_is_in_its_file(board: Board) -> None:
    shown = {
        (panel["title"], target["expr"]) for panel in _read(board)["panels"] for target in panel.get("targets", ())
    }

    assert shown == {(panel.title, expression) for panel in board.panels for expression in panel.queries.values()}


@EACH_BOARD
def test_no_panel_covers_another(board: Board) -> None:
    cells = [
        (x, y)
        for panel in _read(board)["panels"]
        for at in [panel["gridPos"]]
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


@EACH_BOARD
def test_panels_of_a_row_have_names_of_their_own(board: Board) -> None:
    for row in board.rows:
        titles = sorted(panel.title for panel in row.panels)
        assert [one for one, other in pairwise(titles) if one == other] == []


@pytest.mark.parametrize("objective", [AVAILABILITY, LATENCY])
def test_the_lines_of_burns_are_where_alerts_begin(objective: tuple[str, str, float]) -> None:
    bad, _, allowed = objective
    asked = " ".join(rule["expr"] for rule in rules() if "alert" in rule)

    for _, windows, burn in PAIRS:
        for window in windows:
            limit = f"{allowed:g}" if burn == 1 else f"{burn:g} * {allowed:g}"
            assert f"{bad}{window} > {limit} " in f"{asked} ".replace("\n", " ")
