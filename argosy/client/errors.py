"""What can go wrong for a client of a fleet: the gateway refused, nobody answered, or the turn did not complete.

ArgosyError
├── ProblemError                    a gateway answered, and refused (RFC 9457)
│   ├── TurnNotFoundError
│   └── TurnEndedError              a signal or a cancel came too late
├── UnavailableError
│   └── GatewayUnreachableError     no gateway answered for as long as the client is patient
└── TurnError                       the turn did not complete
    ├── TurnFailedError
    ├── TurnCancelledError
    ├── TurnExpiredError
    ├── TurnRejectedError
    └── TurnParkedError             it has not ended: an operator can resume or cancel it
"""

from typing import Any

from argosy.errors import ArgosyError, UnavailableError


class ProblemError(ArgosyError):
    """A gateway's refusal. problem: the members of its body; kind: its stable code, such as "unknown_workflow"."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.status = status
        self.problem = problem
        self.kind = str(problem.get("code", "not_a_gateway"))
        self.title = str(problem.get("title", ""))
        self.detail = str(problem.get("detail", ""))
        self.is_retryable = bool(problem.get("retryable", False))
        super().__init__(f"{self.kind} ({status}): {self.detail or self.title}")


class TurnNotFoundError(ProblemError):
    """There is no such turn, or it is another tenant's."""


class TurnEndedError(ProblemError):
    """The turn has ended: nothing can be sent to it any more."""


class GatewayUnreachableError(UnavailableError):
    """No gateway answered. What was asked for may have been done: the same idempotency key makes a repetition safe."""

    is_retryable = True


class TurnError(ArgosyError):
    """A turn that did not complete. reason: a word of Argosy's own, when there is one."""

    code = "turn_not_completed"

    def __init__(self, turn_id: str, status: str, why: str, reason: str | None = None) -> None:
        super().__init__(f"turn {turn_id} {_SAID.get(status, status)}{': ' if why else ''}{why}")
        self.turn_id = turn_id
        self.status = status
        self.reason = reason


class TurnFailedError(TurnError):
    """error_type: the name of the exception's class in the workflow; message: what it said; traceback: where in its
    code it came from, the innermost frame first (shown where this error is printed, too); empty: nobody may see.
    """

    code = "turn_failed"

    def __init__(
        self, turn_id: str, error_type: str, message: str, reason: str | None = None, traceback: str = ""
    ) -> None:
        super().__init__(turn_id, "failed", f"{error_type}: {message}" if message else error_type, reason)
        self.error_type = error_type
        self.message = message
        self.traceback = traceback
        if traceback:
            self.add_note(f"in the workflow:\n{traceback}")


class TurnCancelledError(TurnError):
    code = "turn_cancelled"


class TurnExpiredError(TurnError):
    code = "turn_expired"


class TurnRejectedError(TurnError):
    code = "turn_rejected"


class TurnParkedError(TurnError):
    code = "turn_parked"


_SAID = {
    "cancelled": "was cancelled",
    "expired": "expired",
    "failed": "failed",
    "parked": "is parked (resume or cancel it)",
    "rejected": "was rejected",
}
