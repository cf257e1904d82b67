"""The Park errors of turns whose history and code, or history and a graph, differ."""

from typing import Final

from argosy.workflow.frames import words_of
from argosy.workflow.journal import Park
from argosy.workflow.replay import GRAPH_MISMATCH, HISTORY_MISMATCH

OUTCOME: Final = "the outcome of {}"
# Of a step that must not run twice, or of a write to a graph.
EFFECT: Final = "the beginning of {}, whose effect may have taken place"
_NAMES_MAX = 5
_WORDS_MAX = 200


def mismatch(recorded: str, instead: str) -> Park:
    """Return the error for what the code does not ask for.

    recorded: what history has, OUTCOME or EFFECT of something; instead: what the code does at this place.
    """
    return _park(f"history has {recorded}, which the code does not ask for at this place; it {instead}")


def raised(error: BaseException) -> str:
    """Say that the code ended with this error."""
    return f"raised {type(error).__name__}: {words_of(error)[:_WORDS_MAX]}"


def asks_for(wanted: list[str]) -> str:
    """Say which operations the code waits for."""
    more = "" if len(wanted) <= _NAMES_MAX else f" and {len(wanted) - _NAMES_MAX} more"
    return f"asks for {', '.join(wanted[:_NAMES_MAX]) or 'nothing'}{more} instead"


def other_arguments(recorded: str, digest: str, digest_now: str) -> Park:
    """Return the error for a step that the code gives other arguments than history has.

    recorded: the step that history has next; digest: of the recorded arguments; digest_now: of those that the code
    gives it.
    """
    return _park(
        f"history has the outcome of {recorded} with arguments of digest {digest}; the code now gives it arguments of "
        f"digest {digest_now}"
    )


def counted_otherwise(recorded: str, asked: str, task: int) -> Park:
    """Return the error for a key of an older build that may be another task's.

    recorded: what history has of a build that counted the calls of all tasks together; asked: what the task calls.
    """
    return Park(
        HISTORY_MISMATCH,
        f"history has {recorded}, from a build of Argosy that counted the calls of all tasks of a turn together: "
        f"whether it is what the workflow's task {task} asks for as {asked} cannot be told. "
        "Cancel the turn and post it again, or resume it with the build that it began with",
    )


def written_otherwise(key: str, graph: str) -> Park:
    """Return the error for a write whose key a graph has with other operations. A resume lets the write begin anew."""
    return Park(
        GRAPH_MISMATCH,
        f"graph {graph!r} has other operations under the key of {key!r} than history: an earlier run of the turn wrote "
        "them, which the database has lost, as when it was restored from a backup. Nothing was written now. Look what "
        "the graph has of that run (its nodes and edges name the turn and step that wrote them), then resume the turn "
        "to write what its code asks for now, too, or cancel the turn",
        key,
    )


def _park(what: str) -> Park:
    return Park(
        HISTORY_MISMATCH, f"{what}. Deploy the code that the turn began with (or cancel the turn), then resume it"
    )
