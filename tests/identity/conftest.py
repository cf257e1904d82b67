"""What tests of issuers share."""

from collections.abc import Iterator

import pytest

from tests.identity.web_server import WebServer, served


@pytest.fixture
def web() -> Iterator[WebServer]:
    with served() as web:
        yield web
