"""How many streams there may be at one gateway, and of one tenant at all of them."""

from contextlib import ExitStack
from typing import Any

import pytest

from argosy import config
from argosy.clock import SystemClock
from argosy.gateway.problems import Problem
from argosy.gateway.stream.streams import Streams
from argosy.gateway.tenant_limits.fleet_limits import FleetLimits
from argosy.store.pool import Pool


class AnyStory:
    def stop(self) -> None:
        """It tells nothing."""


class NobodysOwn:
    def limits_of(self, tenant: str) -> None:
        """None of its own."""


def open_one(streams: Streams, tenant: str, stack: ExitStack) -> None:
    stream: Any = AnyStory()
    stack.enter_context(streams.opened(stream, tenant))


def test_a_tenant_that_has_its_share_leaves_room_to_others() -> None:
    settings = config.load({}, state_db_uri="postgresql://nowhere/x", gateway_tenant_streams_max=2)
    pool = Pool(settings.state_db_uri, 1, 1.0)
    streams = Streams(3, FleetLimits(settings, pool, NobodysOwn(), 1.0, SystemClock()))
    with ExitStack() as stack:
        open_one(streams, "greedy", stack)
        open_one(streams, "greedy", stack)
        with pytest.raises(Problem, match="a tenant may have 2 streams") as refused:
            open_one(streams, "greedy", stack)
        open_one(streams, "other", stack)
        with pytest.raises(Problem, match="3 streams are open") as full:
            open_one(streams, "third", stack)
    with ExitStack() as stack:
        open_one(streams, "greedy", stack)

    assert (refused.value.code, full.value.code, streams.count) == ("rate_limited", "too_many_streams", 0)
