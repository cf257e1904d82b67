"""Named statements: every file can be read, and a name that misleads is refused."""

from importlib import resources

import pytest

from argosy.statements import load_statements
from argosy.store.queries import load_queries

FILES = sorted(
    each.name.removesuffix(".sql") for each in resources.files("argosy.store").iterdir() if each.name.endswith(".sql")
)


@pytest.mark.parametrize("name", FILES)
def test_every_statement_says_what_it_does(name: str) -> None:
    for statement in load_queries(name).values():
        assert statement.startswith("-- ")
        assert len(statement.splitlines()) > 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("-- name: get\nSELECT 1\n-- name: get\nSELECT 2\n", "there twice"),
        ("-- name: \nSELECT 1\n", "not a name"),
        ("-- name: Get It\nSELECT 1\n", "not a name"),
        ("-- name: get\n\n-- name: put\nSELECT 1\n", "no statement"),
    ],
)
def test_a_name_that_misleads_is_refused(
    text: str, problem: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("sql")
    (folder / "bad.sql").write_text(text)
    monkeypatch.setattr(resources, "files", lambda _: folder)

    with pytest.raises(ValueError, match=problem):
        load_statements.__wrapped__("any.package", "bad")
