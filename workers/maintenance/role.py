"""The contract of a role: what its leader does."""

from typing import NamedTuple, Protocol


class Ticked(NamedTuple):
    """What came of a tick, in words.

    has_more: its share of time was used up and there is more to do, so the next tick comes soon.
    """

    outcome: str
    has_more: bool = False


class Role(Protocol):
    """One role. Its name is the lock, the row in `leaders` and the label of its metrics."""

    @property
    def name(self) -> str: ...

    async def tick(self, term: int) -> Ticked:
        """Do a bounded piece of work that may be cut off anywhere and done again.

        Every write carries the term. Raises OwnershipLostError when the term is over; any other error means that the
        tick failed.
        """
        ...
