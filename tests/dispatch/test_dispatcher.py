"""What follows from what happens in a worker: tests of the dispatcher over the worker's own parts."""

from argosy.workers.dispatch.dispatcher import Dispatcher
from argosy.workers.dispatch.loan_dispatcher import LoanDispatcher
from tests.dispatch.joined_parts import Parts, catalog


async def test_the_dispatchers_know_every_part_that_they_call() -> None:
    async with Parts(catalog()) as parts:
        assert Dispatcher.__annotations__.keys() - vars(parts.dispatcher).keys() == set()
        assert LoanDispatcher.__annotations__.keys() - vars(parts.loan_dispatcher).keys() == set()
