"""What a leader does: the contract of a role."""

from typing import NamedTuple, Protocol


class Ticked(NamedTuple):
    """What came of a tick, in words; has_more: its share was done and there is more, so the next one comes soon."""

    outcome: str
    has_more: bool = False


class Role(Protocol):
    """One role. Its name is the lock, the row in `leaders` and the label of its metrics."""

    @property
    def name(self) -> str: ...

    async def tick(self, term: int) -> Ticked:
        """A bounded piece of work, safe to be cut off anywhere and to be done again.

        Every write carries the term. Raises OwnershipLostError when the term is over; any other error is a tick that
        failed.
        """
        ...
