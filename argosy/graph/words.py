"""What tenants are told of errors of graphs.

Where shards, their files and Postgres are is for operators: processes say it in their logs, and neither a problem of
the API nor the history of a turn does.
"""

from typing import Final

from argosy.errors import (
    ArgosyError,
    EmbedderAwayError,
    EmbedderError,
    GraphFileError,
    GraphMissingError,
    GraphMovingError,
    GraphTakenError,
    ListsDisagreeError,
    OutcomeUnknownError,
    ShardUnavailableError,
    StoreUnavailableError,
    WrongOwnerError,
)

# What does not pass by itself.
_FOR_OPERATORS: Final = (GraphFileError, GraphMissingError, GraphTakenError, ListsDisagreeError)
# Of errors whose own words name an endpoint, a file or a folder, or are those of a user's code.
_WORDS: Final[dict[type[ArgosyError], str]] = {
    GraphFileError: "the graph's shard answers, and cannot use the graph's file: an operator has to restore the file, "
    "or drop the graph (`argosy graph drop`)",
    GraphMissingError: "the graph's shard answers, and does not have the graph: an operator has to restore its file, "
    "or drop the graph (`argosy graph drop`)",
    GraphTakenError: "the graph's shard has another graph of this name, which the database does not know, or has "
    "dropped this one: an operator has to look with `argosy shards orphans`, or drop it again (`argosy graph drop`)",
    ListsDisagreeError: "the graph's shard and the process that asks it do not both enforce access control lists: an "
    "operator has to set KG_BRAIN_ENFORCE for both (docs/security.md)",
    GraphMovingError: "the graph is being moved: try again",
    WrongOwnerError: "the graph's shard does not have the graph as it is known here",
    OutcomeUnknownError: "the graph's shard was cut off while it wrote",
    EmbedderAwayError: "the function that makes vectors of texts (EMBEDDER) took too long, or says that it is away",
    EmbedderError: "the function that makes vectors of texts (EMBEDDER) failed: the log says how",
    StoreUnavailableError: "where the graph is cannot be looked up now",
}


def is_for_operators(error: ArgosyError) -> bool:
    """Whether a graph cannot be asked until an operator acts."""
    return isinstance(error, _FOR_OPERATORS)


def words_for_tenants(error: ArgosyError) -> str:
    """Return what an error says, but for where anything is."""
    if type(error) is ShardUnavailableError:  # one that has no room says so itself
        return "the graph's shard does not answer, or none takes a new graph now"
    return next((words for kind, words in _WORDS.items() if isinstance(error, kind)), str(error))
