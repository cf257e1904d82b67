"""For tests whose statements have been shown on both servers elsewhere: on PostgreSQL 18, and on 15 when there is time.

`from tests.store.newest_first import *` after the fixtures of tests/store/conftest.py.
"""

import pytest

from tests.store.conftest import emptied

__all__ = ["store_dsn"]


@pytest.fixture(
    params=[pytest.param("15", marks=pytest.mark.slow), "18"],
    ids=["postgres15", "postgres18"],
)
async def store_dsn(request: pytest.FixtureRequest) -> str:
    """As in tests/store/conftest.py."""
    return await emptied(str(request.getfixturevalue(f"store_{request.param}_dsn")))
