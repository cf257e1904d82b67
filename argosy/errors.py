"""Every error that crosses a module boundary, grouped by what can be done about it.

The whole tree, with what each means: docs/architecture.md, Errors.

`retryable` says whether the same call may succeed later; `code` is the slug in problem bodies, logs and metrics.
"""

import uuid
from typing import ClassVar


class ArgosyError(Exception):
    """Base of every error of Argosy. shard: the one that could not be asked, when that is what the error says."""

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False
    shard: uuid.UUID | None = None


class CallerError(ArgosyError):
    code = "invalid_request"


class SettingError(CallerError):
    code = "invalid_setting"


class PayloadTooLargeError(CallerError):
    code = "payload_too_large"


class EncodingError(CallerError):
    code = "not_encodable"


class WorkflowError(CallerError):
    code = "invalid_workflow"


class NoRightError(CallerError):
    """Whoever posted the turn has no right to this: TURN_RIGHTS_ENFORCED."""

    code = "insufficient_scope"


class RecordError(CallerError):
    code = "undecodable_record"


class NewerRecordError(RecordError):
    code = "newer_record"


class InvalidRecordError(RecordError):
    code = "invalid_record"


class UploadError(CallerError):
    """What is uploaded cannot be read as lines."""

    code = "invalid_upload"


class GzipError(UploadError):
    code = "invalid_gzip"


class UploadEncodingError(UploadError):
    code = "invalid_encoding"


class GraphInputError(CallerError):
    code = "invalid_graph_input"


class GraphNameError(GraphInputError):
    code = "invalid_graph"


class CypherError(GraphInputError):
    """A query is no valid Cypher, not allowed, or fails. position: (line, column) in it, both from 1."""

    code = "invalid_cypher"

    def __init__(self, message: str, position: tuple[int, int] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.position = position

    def __str__(self) -> str:
        if self.position is None:
            return self.message
        return "line {}, column {}: {}".format(*self.position, self.message)


class GraphTooLargeError(GraphInputError):
    code = "graph_too_large"


class GraphNotFoundError(CallerError):
    code = "graph_not_found"


class GraphForbiddenError(CallerError):
    code = "graph_forbidden"


class KeyMismatchError(CallerError):
    code = "idempotency_mismatch"


class KeyExpiredError(CallerError):
    code = "key_expired"


class FlushRefusedError(ArgosyError):
    code = "flush_refused"


class FlushSlowError(FlushRefusedError):
    """Postgres repeatedly did not finish a flush in time. It is certain that nothing of the flush took effect."""


class UnavailableError(ArgosyError):
    code = "unavailable"
    retryable = True


class LogUnavailableError(UnavailableError):
    code = "log_unavailable"


class StoreUnavailableError(UnavailableError):
    code = "store_unavailable"


class StoreNotReadyError(StoreUnavailableError):
    pass


class StoreReadOnlyError(StoreUnavailableError):
    pass


class StoreBusyError(StoreUnavailableError):
    """Postgres was reached, but another session held for too long the lock that a statement needs."""


class StoreSlowError(StoreUnavailableError):
    """Postgres was reached, but could not finish one statement, for want of time or memory."""


class WrongOwnerError(UnavailableError):
    code = "wrong_owner"


class GraphMovingError(WrongOwnerError):
    code = "graph_moving"


class GraphMissingError(WrongOwnerError):
    code = "graph_missing"


class GraphDroppedError(WrongOwnerError):
    """A shard has dropped the very life of a graph that it is asked for, for good."""

    code = "graph_dropped"


class GraphTakenError(WrongOwnerError):
    """A shard does not make a graph, though the database says that there is one. is_dropped: it has dropped this life
    of it before; else it has another one, of which the database does not know.
    """

    code = "graph_taken"

    def __init__(self, message: str, *, is_dropped: bool = False) -> None:
        super().__init__(message)
        self.is_dropped = is_dropped


class ShardUnavailableError(UnavailableError):
    code = "shard_unavailable"


class ShardBusyError(ShardUnavailableError):
    code = "shard_busy"


class GraphFileError(ShardUnavailableError):
    code = "graph_file"


class ListsDisagreeError(ShardUnavailableError):
    code = "lists_disagree"


class GraphAwayError(UnavailableError):
    """A graph cannot be asked now, as code of workflows and steps is told: a shard, or Postgres, is away. A step that
    ends with it waits, and is tried again, without spending one of its retries; an at_most_once step fails.
    """

    code = "graph_away"


class GraphUnusableError(GraphAwayError):
    """The graph's shard answers, and cannot serve the graph as it is: who waits, waits for an operator."""


class ViewLostError(UnavailableError):
    code = "view_lost"


class CopyBrokenError(UnavailableError):
    code = "copy_broken"


class EmbedderAwayError(UnavailableError):
    code = "embedder_away"


class EffectNotStartedError(UnavailableError):
    """Raised by a step that knows that it has changed nothing. It is the only error after which an at_most_once step is
    tried again.
    """

    code = "effect_not_started"


class OutcomeUnknownError(ArgosyError):
    code = "outcome_unknown"
    retryable = True


class InternalError(ArgosyError):
    pass


class FencedError(ArgosyError):
    code = "fenced"


class GraphDeadlineError(ArgosyError):
    code = "graph_deadline"
    retryable = True


class ShardSilentError(GraphDeadlineError):
    """A shard did not answer until the deadline. shard: set while it does not answer either whether it is there."""


class EmbedderError(ArgosyError):
    code = "embedder_failed"


class OwnershipLostError(ArgosyError):
    code = "ownership_lost"


class StepError(ArgosyError):
    code = "step_error"


class StepFailedError(StepError):
    """A step failed for good. error_type: the name of the exception class that the last try raised. is_private: the
    step is private, so clients see neither the message nor error_type. traceback: where the error was raised, as
    recorded; for people, not for decisions, because older versions recorded none.
    """

    code = "step_failed"

    def __init__(
        self, message: str, error_type: str = "StepFailedError", *, is_private: bool = False, traceback: str = ""
    ) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.is_private = is_private
        self.traceback = traceback


class StepTimeoutError(StepError):
    code = "step_timeout"
    retryable = True


class WaitTimeoutError(StepError):
    code = "wait_timeout"


class GraphConditionError(StepError):
    """A write to a graph was refused whole. failed: the index of the operation for which it was; reason: why."""

    code = "graph_condition"

    def __init__(self, failed: int, reason: str) -> None:
        super().__init__(f"ops[{failed}]: {reason}")
        self.failed = failed
        self.reason = reason
