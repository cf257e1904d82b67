import pytest

from tests.workflow.cancelling import Made


@pytest.fixture
def made() -> Made:
    """What was cleaned up, in order."""
    return []
