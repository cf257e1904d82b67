"""How many streams there may be at one gateway, and of one tenant there."""

from contextlib import ExitStack
from typing import Any

import pytest

from argosy.gateway.problems import Problem
from argosy.gateway.stream.streams import Streams


class AnyStory:
    def stop(self) -> None:
        """It tells nothing."""


def open_one(streams: Streams, tenant: str, stack: ExitStack) -> None:
    stream: Any = AnyStory()
    stack.enter_context(streams.opened(stream, tenant))


def test_a_tenant_that_has_its_share_leaves_room_to_others() -> None:
    streams = Streams(3, 2)
    with ExitStack() as stack:
        open_one(streams, "greedy", stack)
        open_one(streams, "greedy", stack)
        with pytest.raises(Problem, match="of this tenant") as refused:
            open_one(streams, "greedy", stack)
        open_one(streams, "other", stack)
        with pytest.raises(Problem, match="3 streams are open"):
            open_one(streams, "third", stack)
    with ExitStack() as stack:
        open_one(streams, "greedy", stack)

    assert (refused.value.code, streams.count) == ("too_many_streams", 0)
