"""What a Poker says."""

import asyncio

from argosy.rpc.poke import Hint
from argosy.rpc.signed_call import Callee


class FailedPokes(asyncio.Queue[tuple[Callee, Hint]]):
    """The pokes that did not arrive, in their order."""

    def after_failure(self, callee: Callee, hint: Hint) -> None:
        self.put_nowait((callee, hint))
