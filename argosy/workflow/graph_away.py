"""What errors of graphs become before code of workflows and steps, and so history, gets them."""

from collections.abc import Iterator
from contextlib import contextmanager

from argosy.errors import (
    ArgosyError,
    EmbedderError,
    GraphAwayError,
    GraphUnusableError,
    OutcomeUnknownError,
    ShardSilentError,
    StepFailedError,
    UnavailableError,
    ViewLostError,
)
from argosy.graph.words import is_for_operators, words_for_tenants


@contextmanager
def told_to_tenants() -> Iterator[None]:
    """Raise GraphAwayError when a graph cannot be asked now (GraphUnusableError when an operator has to act), and what
    else happens as it is, in words for tenants.

    A query that ends what answers it, or asks for too much, would wait for ever: ViewLostError stays, and so does
    ShardSilentError, unless the shard is silent to all. None has what caused it, in which a connection names its other
    end: tracebacks of a user's steps would show that. But what caused an error of EMBEDDER is the user's own code.
    """
    try:
        yield
    except (EmbedderError, StepFailedError):
        raise
    except (UnavailableError, ShardSilentError) as error:
        if isinstance(error, ViewLostError) or (isinstance(error, ShardSilentError) and error.shard is None):
            raise error from None
        shard = error.shard
        kind = GraphUnusableError if is_for_operators(error) else GraphAwayError
        away = kind(words_for_tenants(error) if shard is None else f"shard {shard} did not answer")
        away.shard = shard
        raise away from None
    except OutcomeUnknownError as error:
        lost = OutcomeUnknownError(words_for_tenants(error))
        lost.shard = error.shard
        raise lost from None
    except ArgosyError as error:
        raise error from None
