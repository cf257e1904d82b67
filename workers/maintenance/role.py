"""What a leader does: the contract of a role."""

from typing import Protocol


class Role(Protocol):
    """One role. Its name is the lock, the row in `leaders` and the label of its metrics."""

    @property
    def name(self) -> str: ...

    async def tick(self, term: int) -> str:
        """A bounded piece of work, safe to be cut off anywhere and to be done again; what came of it, in words.

        Every write carries the term. Raises OwnershipLostError when the term is over, UnavailableError.
        """
        ...
