"""The blocking client is the asyncio one, word for word but for what blocks."""

import pytest

from generate_sync_client import NAMES, generated, target, useless


@pytest.mark.parametrize("name", NAMES)
def test_the_blocking_client_is_generated_from_the_asyncio_one_of_now(name: str) -> None:
    assert target(name).read_text() == generated(name), "run: .venv/bin/python generate_sync_client.py"


def test_every_change_has_something_to_change() -> None:
    assert useless() == []
