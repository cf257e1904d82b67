"""How the errors of graphs are answered: argosy/errors.py says what each means, gateway/problems.py its status.

503: nothing was changed. 504: a read was stopped, or a write may have been done. Where shards and their files are is
for operators: processes say it in their logs, and no detail of a problem does.
"""

from typing import Any, Final

from argosy.errors import (
    ArgosyError,
    CypherError,
    EmbedderAwayError,
    EmbedderError,
    GraphDeadlineError,
    GraphFileError,
    GraphInputError,
    GraphNotFoundError,
    KeyExpiredError,
    KeyMismatchError,
    OutcomeUnknownError,
    SettingError,
    ShardUnavailableError,
    UnavailableError,
    ViewLostError,
    WrongOwnerError,
)
from argosy.gateway.problems import Problem
from argosy.graph.facts import Applied

RETRY_AFTER_S: Final = 1.0

GRAPH_ERRORS: Final = (
    GraphInputError,
    GraphNotFoundError,
    KeyMismatchError,
    KeyExpiredError,
    OutcomeUnknownError,
    GraphDeadlineError,
    EmbedderError,
    UnavailableError,
    SettingError,  # this fleet has no shards
)


# What errors say whose own words name an endpoint or a file, or are those of a user's code.
_DETAILS: Final[dict[type[ArgosyError], str]] = {
    GraphFileError: "the graph's shard cannot use the graph's file: an operator has to see to it",
    WrongOwnerError: "the graph's shard does not have the graph as it is known here",
    OutcomeUnknownError: "the graph's shard was cut off while it wrote",
    EmbedderAwayError: "the function that makes vectors of texts (EMBEDDER) took too long, or says that it is away",
    EmbedderError: "the function that makes vectors of texts (EMBEDDER) failed: the gateway's log says how",
}


def problem_of_graph(error: ArgosyError) -> Problem:
    """Return the problem with which one of GRAPH_ERRORS is answered."""
    detail = _detail_of(error)
    if isinstance(error, CypherError):
        return Problem(error.code, detail, **_position(error))
    if isinstance(error, UnavailableError | SettingError):
        # To a client it is all one: a shard that is away, has no room, or does not have the graph yet.
        code = error.code if isinstance(error, ViewLostError | EmbedderAwayError) else ShardUnavailableError.code
        return Problem(code, detail, retry_after_s=RETRY_AFTER_S)
    return Problem(error.code, detail)


def refused(applied: Applied) -> Problem:
    """Return the problem with which a batch is answered that was refused as a whole."""
    detail = f"ops[{applied.failed}]: {applied.reason}"
    return Problem("graph_condition", detail, failed=applied.failed, reason=applied.reason)


def _detail_of(error: ArgosyError) -> str:
    if type(error) is ShardUnavailableError:
        return "the graph's shard does not answer, or none takes a new graph now"
    return next((detail for kind, detail in _DETAILS.items() if isinstance(error, kind)), str(error))


def _position(error: CypherError) -> dict[str, Any]:
    return {} if error.position is None else {"line": error.position[0], "column": error.position[1]}
