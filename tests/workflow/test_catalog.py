"""What a worker can run, and what is said of what it cannot."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy.workflow.catalog import Catalog
from tests.workflow.running import run

HEAD = "from argosy import Context, step, workflow\n\n"
GREET = HEAD + "@workflow\nasync def greet(ctx, value):\n    return f'hello {value}'\n"


@pytest.fixture(autouse=True)
def _untouched_path() -> Iterator[None]:
    before = list(sys.path)
    yield
    sys.path[:] = before


def write(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def test_the_shipped_workflows_are_always_there() -> None:
    catalog = Catalog.load(())

    assert [definition.name for definition in catalog.definitions] == ["ask_library", "echo", "support_triage"]
    assert catalog.broken == ()
    assert all(definition.description for definition in catalog.definitions)


async def test_a_file_s_workflows_are_found_and_run(tmp_path: Path) -> None:
    catalog = Catalog.load([write(tmp_path, "my.py", GREET)])

    definition = catalog.get("greet", None)

    assert definition is not None
    assert catalog.get("greet", "1") == definition
    assert catalog.get("greet", "2") is None
    assert catalog.get("nobody", None) is None
    assert await run(definition.function, "Maya") == "hello Maya"


@pytest.mark.parametrize(
    ("text", "error", "line"),
    [
        ("def broken(:\n", "SyntaxError", ":1"),
        ("import not_there_at_all\n", "ModuleNotFoundError: No module named 'not_there_at_all'", ":1"),
        ("1 / 0\n", "ZeroDivisionError: division by zero", ":1"),
        ("\nraise SystemExit(3)\n", "SystemExit: 3", ":2"),
        (HEAD + "@step(retries=-1)\ndef f():\n    pass\n", "step 'f': retries must be", ":3"),
        (HEAD + "@workflow\ndef f():\n    pass\n", "workflow 'f': its first parameter must be ctx", ":3"),
        ("x = 1\n", "it declares no workflow", ""),
        ("raise ValueError('one\\ntwo')\n", "ValueError: one", ":1"),
    ],
)
def test_a_broken_file_is_reported_with_its_place_and_does_not_stop_the_rest(
    tmp_path: Path, text: str, error: str, line: str
) -> None:
    bad = write(tmp_path, "bad.py", text)

    catalog = Catalog.load([bad, write(tmp_path, "good.py", GREET)])

    assert [broken.entry for broken in catalog.broken] == [bad]
    assert catalog.broken[0].error.startswith(error)
    assert "\n" not in catalog.broken[0].error
    assert catalog.broken[0].where == (f"{bad}{line}" if line else "")
    assert catalog.get("greet", None) is not None


@pytest.mark.parametrize("entry", ["no/such/file.py", "not_there_at_all", "not a module", "", "a..b", "..", "/tmp"])
def test_what_is_not_there_is_reported(entry: str) -> None:
    catalog = Catalog.load([entry])

    assert [broken.entry for broken in catalog.broken] == [entry]


def test_a_file_beside_others_can_import_them_and_hides_nothing_installed(tmp_path: Path) -> None:
    write(tmp_path, "neighbour_of_a_test.py", "WORD = 'moin'\n")
    write(tmp_path, "json.py", "raise ValueError('hidden')\n")
    text = "import json\nfrom neighbour_of_a_test import WORD\n" + GREET

    catalog = Catalog.load([write(tmp_path, "my.py", text)])

    assert catalog.broken == ()


def test_a_folder_with_nothing_to_import_stays_off_the_path(tmp_path: Path) -> None:
    Catalog.load([write(tmp_path, "alone.py", GREET)])

    assert str(tmp_path) not in sys.path


def test_a_module_of_the_current_folder_is_found_by_its_dotted_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "shop_of_a_test/__init__.py", "")
    write(tmp_path, "shop_of_a_test/workflows.py", GREET)

    assert Catalog.load(["shop_of_a_test.workflows"]).get("greet", "1") is not None


def test_two_files_of_one_name_are_two_modules(tmp_path: Path) -> None:
    first = write(tmp_path, "a/my.py", GREET)
    second = write(tmp_path, "b/my.py", GREET.replace("greet", "bid_farewell"))

    catalog = Catalog.load([first, second])

    assert {"greet", "bid_farewell"} <= {definition.name for definition in catalog.definitions}


def test_the_first_of_two_workflows_under_one_name_and_version_stays(tmp_path: Path) -> None:
    first = write(tmp_path, "first.py", GREET)
    second = write(tmp_path, "second.py", GREET.replace("hello", "moin"))

    catalog = Catalog.load([first, second, first])

    (broken,) = catalog.broken
    definition = catalog.get("greet", None)
    assert broken.entry == second
    assert broken.where == f"{second}:3"
    assert f"declared already, in {first}:3" in broken.error
    assert definition is not None
    assert definition.function.__code__.co_filename == first


def test_versions_live_side_by_side_and_the_one_loaded_last_is_the_latest(tmp_path: Path) -> None:
    newer = GREET.replace("@workflow", '@workflow(version="2")').replace("hello", "moin")

    catalog = Catalog.load([write(tmp_path, "old.py", GREET), write(tmp_path, "new.py", newer)])

    assert [getattr(catalog.get("greet", version), "version", None) for version in ("1", "2", None)] == ["1", "2", "2"]


def test_an_imported_workflow_is_not_declared_twice(tmp_path: Path) -> None:
    write(tmp_path, "origin_of_a_test.py", GREET)
    user = write(tmp_path, "user.py", "from origin_of_a_test import greet\nagain = greet\n")

    catalog = Catalog.load([user])

    assert catalog.broken == ()
    assert catalog.get("greet", "1") is not None
