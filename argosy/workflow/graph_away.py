"""What errors of graphs become before code of workflows and steps, and so history, gets them."""

from collections.abc import Iterator
from contextlib import contextmanager

from argosy.errors import GraphAwayError, OutcomeUnknownError, UnavailableError, ViewLostError
from argosy.graph.words import words_for_tenants


@contextmanager
def told_to_tenants() -> Iterator[None]:
    """Raise GraphAwayError when a graph cannot be asked now, and what else happens as it is, in words for tenants.

    ViewLostError stays: a query that ends what answers it would wait for ever.
    """
    try:
        yield
    except ViewLostError:
        raise
    except UnavailableError as error:
        shard = error.shard
        away = GraphAwayError(words_for_tenants(error) if shard is None else f"shard {shard} did not answer")
        away.shard = shard
        raise away from None
    except OutcomeUnknownError as error:
        lost = OutcomeUnknownError(words_for_tenants(error))
        lost.shard = error.shard
        raise lost from None
