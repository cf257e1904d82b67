"""How the errors of graphs are answered: argosy/errors.py says what each means, gateway/problems.py its status.

503: nothing was changed. 504: a read was stopped, or a write may have been done. No detail says where anything is
(argosy/graph/words.py).
"""

from typing import Any, Final

from argosy.errors import (
    ArgosyError,
    CypherError,
    EmbedderAwayError,
    EmbedderError,
    GraphDeadlineError,
    GraphForbiddenError,
    GraphInputError,
    GraphNotFoundError,
    KeyExpiredError,
    KeyMismatchError,
    ListsDisagreeError,
    OutcomeUnknownError,
    SettingError,
    ShardUnavailableError,
    UnavailableError,
    ViewLostError,
)
from argosy.gateway.problems import RETRY_AFTER_S, Problem
from argosy.graph.facts import Applied
from argosy.graph.words import words_for_tenants
from argosy.seal.errors import GraphSealedError, PayloadUnreadableError

GRAPH_ERRORS: Final = (
    GraphInputError,
    GraphNotFoundError,
    GraphForbiddenError,
    KeyMismatchError,
    KeyExpiredError,
    OutcomeUnknownError,
    GraphDeadlineError,
    EmbedderError,
    UnavailableError,
    SettingError,  # this fleet has no shards
    GraphSealedError,
    PayloadUnreadableError,  # of a sealed graph
)


def problem_of_graph(error: ArgosyError) -> Problem:
    """Return the problem with which one of GRAPH_ERRORS is answered."""
    detail = words_for_tenants(error)
    if isinstance(error, CypherError):
        return Problem(error.code, detail, **_position(error))
    if isinstance(error, UnavailableError | SettingError):
        # To a client the rest is all one: a shard that is away, has no room, or does not have the graph yet.
        is_told = isinstance(error, ViewLostError | EmbedderAwayError | ListsDisagreeError)
        code = error.code if is_told else ShardUnavailableError.code
        return Problem(code, detail, retry_after_s=RETRY_AFTER_S)
    return Problem(error.code, detail)


def refused(applied: Applied) -> Problem:
    """Return the problem with which a batch is answered that was refused as a whole."""
    detail = f"ops[{applied.failed}]: {applied.reason}"
    return Problem("graph_condition", detail, failed=applied.failed, reason=applied.reason)


def _position(error: CypherError) -> dict[str, Any]:
    return {} if error.position is None else {"line": error.position[0], "column": error.position[1]}
