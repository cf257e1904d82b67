"""The processes of a fleet on this machine: what messages call each, and the command that runs it."""

import sys
from typing import Final, NamedTuple

_ARGOSY: Final = (sys.executable, "-P", "-m", "argosy")


class Process(NamedTuple):
    """A process of Argosy. label: what messages call it."""

    label: str
    arguments: tuple[str, ...]

    def command(self, *options: str) -> tuple[str, ...]:
        """Return the command line that runs the process."""
        return (*_ARGOSY, *self.arguments, *options)


GATEWAY: Final = Process("the gateway", ("gateway",))
WORKER: Final = Process("the worker", ("worker", "dispatch"))
INGEST: Final = Process("the ingest worker", ("worker", "ingest"))
SHARD: Final = Process("the shard", ("shard",))
MAINTENANCE: Final = Process("maintenance", ("maintain",))
