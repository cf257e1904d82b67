"""The commands that an operator and a user type."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.fleet import Fleet


@pytest.fixture
def unprepared(request: pytest.FixtureRequest, log_name: str, database: str, tmp_path: Path) -> Iterator[Fleet]:
    """A fleet whose database is empty and whose topic does not exist."""
    bootstrap = str(request.getfixturevalue("broker")) if log_name == "kafka" else ""
    fleet = Fleet(tmp_path / "fleet", database, bootstrap)
    yield fleet
    fleet.stop()


def test_migrate_and_topics_prepare_a_fleet_and_may_be_repeated(unprepared: Fleet) -> None:
    assert unprepared.run("migrate", "--check")[0] == 1

    for _ in range(2):
        assert unprepared.run("migrate")[0] == 0
        assert unprepared.run("topics")[0] == 0

    assert unprepared.run("migrate", "--check")[0] == 0


@pytest.mark.parametrize("log_name", ["postgres"])
def test_a_turn_can_be_submitted_waited_for_and_shown_by_command(fleet: Fleet) -> None:
    fleet.worker()

    code, output = fleet.run(
        "turn", "submit", "session", "echo", '{"text": "hello"}', "--wait", "20", "--url", fleet.url
    )

    assert code == 0, output
    answer = json.loads(output[output.index("{") :])
    assert (answer["status"], answer["result"]) == ("completed", {"text": "hello"})
    assert fleet.run("turn", "get", answer["turn_id"], "--url", fleet.url)[0] == 0


def test_a_worker_refuses_to_start_on_an_empty_database_with_one_line(unprepared: Fleet) -> None:
    code, output = unprepared.run("worker", "dispatch")

    assert code == 1
    assert "run `argosy migrate`" in output
    assert "Traceback" not in output
