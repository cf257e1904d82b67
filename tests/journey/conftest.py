from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.fixtures import *  # noqa: F403
from tests.harness.fleet import Fleet


@pytest.fixture
def unprepared(request: pytest.FixtureRequest, log_name: str, empty_database: str, tmp_path: Path) -> Iterator[Fleet]:
    """A fleet whose database is empty and whose topic does not exist."""
    bootstrap = str(request.getfixturevalue("broker")) if log_name == "kafka" else ""
    fleet = Fleet(tmp_path / "fleet", empty_database, bootstrap)
    yield fleet
    fleet.stop()
