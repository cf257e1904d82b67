from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy.graph.facts import GraphRef
from argosy.shards.engine import Engine
from tests.shards.engines import Opened, new_ref, open_sqlite


@pytest.fixture(params=[open_sqlite], ids=["sqlite"])
def opened(request: pytest.FixtureRequest) -> Opened:
    """Opens an engine on a folder, once for each adapter."""
    open_engine: Opened = request.param
    return open_engine


@pytest.fixture
def engine(opened: Opened, tmp_path: Path) -> Iterator[Engine]:
    engine = opened(tmp_path / "shard")
    yield engine
    engine.close()


@pytest.fixture
def ref(engine: Engine) -> GraphRef:
    """An empty graph."""
    ref = new_ref()
    engine.create(ref)
    return ref
