"""What follows from what happens in a worker: tests of the dispatcher over the worker's own parts."""

from argosy.workers.dispatch.dispatcher import Dispatcher
from tests.dispatch.joined_parts import Parts, catalog


async def test_the_dispatcher_knows_every_part_that_it_calls() -> None:
    async with Parts(catalog()) as parts:
        assert Dispatcher.__annotations__.keys() - vars(parts.dispatcher).keys() == set()
