"""What the documentation names is there, and its tables say what the code says."""

import ast
import re
from pathlib import Path

import pytest
import typer

from argosy import metrics_table
from argosy.cli.app import app
from argosy.config import Settings
from argosy.gateway.app import create_app
from argosy.gateway.problems import KINDS
from argosy.settings_table import replaced
from argosy.turn.events import Event, WireEvent
from argosy.turn.status import Status
from tests.docs.page import PAGES, ROOT, anchors, links, prose

README_SIZE_BYTES_MAX = 8_192
FOLDERS = (
    ".ci", "argosy", "bench", "deploy", "docs", "examples", "gateway", "k8s", "proto", "shards", "tests", "tools",
    "workers",
)  # fmt: skip
# A file of the repository in a sentence. Names in capitals stand for a name that the reader chooses.
_PATH = re.compile(r"`([\w.][\w./-]*/|(?!/)[\w./-]*[\w-]\.(?:py|sql|md|toml|proto|js|json|txt|jsonl))`")
_OF_THE_READER = {"my.py", "name.py", "site/"}


def _read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _column(page: str, heading: str, column: int = 0) -> list[str]:
    """The cells of a column of the table below a line that begins with heading."""
    text = "\n" + _read(page)
    below = text[text.index(f"\n{heading}") :]
    table = below[below.index("\n|") :].partition("\n\n")[0]
    return [re.split(r"(?<!\\)\|", row)[column + 1].strip() for row in table.strip().splitlines()[2:]]


def _codes(cells: list[str]) -> list[str]:
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


@pytest.fixture(scope="module")
def files() -> list[str]:
    """Every file of the repository."""
    found = [path for path in ROOT.glob("*") if path.is_file()]
    for folder in FOLDERS:
        found += [path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return [str(path.relative_to(ROOT)) for path in found]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem.lower())
def test_every_link_leads_somewhere(page: Path) -> None:
    missing = []
    for link in links(page):
        target, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        file = (page.parent / target).resolve() if target else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            missing.append(link)

    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem.lower())
def test_every_file_that_is_named_is_there(page: Path, files: list[str]) -> None:
    named = {
        name for name in _PATH.findall(prose(page)) if name not in _OF_THE_READER and not re.search("[A-Z]{4}", name)
    }
    folders = {f"{parent}/" for file in files for parent in Path(file).parents}
    known = [f"/{each}" for each in (*files, *folders)]
    linked = {name.replace("argosy/workers/", "workers/").replace("argosy/gateway/", "gateway/") for name in named}

    assert sorted(name for name in linked if not any(each.endswith(f"/{name}") for each in known)) == []


def test_every_chapter_that_code_cites_is_there(files: list[str]) -> None:
    cited = {
        (page, chapter)
        for file in files
        if file.endswith((".py", ".sql")) and not file.startswith("docs/")
        for page, chapter in re.findall(r'(docs/[a-z]+\.md)(?:, "([^"\n]+)")?', _read(file))
        if not file.endswith("test_pages.py")
    }

    assert len(cited) > 5
    assert [(page, chapter) for page, chapter in cited if not (ROOT / page).exists()] == []
    assert [(page, chapter) for page, chapter in cited if chapter and f"# {chapter}\n" not in _read(page)] == []


def test_every_page_is_reached_from_the_readme() -> None:
    named = {link.partition("#")[0] for link in links(ROOT / "README.md")}

    assert {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")} <= named
    assert {"CONTRIBUTING.md", "CHANGELOG.md", "LICENSE"} <= named


def test_the_readme_is_a_door_and_not_a_house() -> None:
    assert len(_read("README.md").encode()) <= README_SIZE_BYTES_MAX


def test_the_table_of_settings_is_the_one_of_today() -> None:
    text = _read("docs/settings.md")

    assert replaced(text) == text


def test_the_tables_of_metrics_are_those_of_today() -> None:
    text = _read("docs/metrics.md")

    assert metrics_table.replaced(text) == text


def test_every_problem_is_told_with_its_status() -> None:
    rows = zip(*(_column("docs/api.md", "### Errors", column) for column in range(4)), strict=True)

    assert [tuple(row) for row in rows] == [
        (f"`{code}`", str(kind.status), "yes" if kind.is_retryable else "no", kind.title)
        for code, kind in KINDS.items()
    ]


def test_every_route_is_told() -> None:
    told = {
        route for cell in _codes(_column("docs/api.md", "## REST")) for route in re.findall(r"/[a-z][\w/{}:-]*", cell)
    }
    routes = {path.replace("{turn_id}", "{id}") for path in create_app(Settings()).openapi()["paths"]}

    assert routes | {"/metrics"} == told


def test_every_state_of_a_turn_is_told() -> None:
    assert set(_codes(_column("docs/api.md", "### States of a turn"))) == set(Status)


def test_every_message_of_a_stream_is_told() -> None:
    assert set(_codes(_column("docs/streams.md", "## Messages"))) == {*Event, *WireEvent}


def test_every_command_is_told() -> None:
    commands = set(typer.main.get_command(app).commands) - {"turn", "worker"}  # type: ignore[attr-defined]
    told = {
        name.split()[1] for name in _codes(_column("docs/operate.md", "## Processes")) if name.startswith("argosy ")
    }

    assert commands | {"turn", "worker"} == told


def test_every_promise_names_tests_that_are_there(files: list[str]) -> None:
    rows = _column("docs/promises.md", "# Promises")
    shown_by = _column("docs/promises.md", "# Promises", 2)

    assert rows == [f"I{number}" for number in range(1, 15)]
    for cell in shown_by:
        names = _codes([cell])
        paths = [name for name in names if name.startswith("tests/")]
        assert paths or "history checker" in cell
        tests = [name for name in names if name.startswith("test_")]
        defined = {
            node.name
            for path in paths
            for file in files
            if file.startswith(path) and file.endswith(".py")
            for node in ast.walk(ast.parse(_read(file)))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert set(tests) <= defined
