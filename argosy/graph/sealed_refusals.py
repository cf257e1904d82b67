"""What a sealed graph cannot do. Apart from what seals: a program with workflows alone has no library for that."""

from typing import Final

from argosy.seal.errors import GraphSealedError

NO_LINES: Final = "nothing can be uploaded to it, since lines wait, and stay where they are refused, in the clear"


def check_takes_lines(graph: str, *, is_sealed: bool) -> None:
    """Raise GraphSealedError for a graph to which nothing can be uploaded."""
    if is_sealed:
        raise refused(graph, NO_LINES)


def refused(graph: str, why: str) -> GraphSealedError:
    """Return the error of a call that needs values in the clear at the shard."""
    return GraphSealedError(f"graph {graph!r} is sealed: {why}")
