"""The errors of the client library: a gateway refused, no gateway answered, or the turn did not complete.

ArgosyError
├── ProblemError                    a gateway answered, and refused (RFC 9457)
│   ├── UnauthenticatedError        the token is missing, wrong, revoked or has expired (401)
│   ├── ForbiddenError              the token is good, and has no right to this (403)
│   ├── TurnNotFoundError
│   └── TurnEndedError              a signal, a cancel or a resume came too late
├── UnavailableError
│   └── GatewayUnreachableError     no gateway answered for as long as the client is patient
├── JobError                        a job of ingest failed, or was cancelled
└── TurnError                       the turn did not complete
    ├── TurnFailedError
    ├── TurnCancelledError
    ├── TurnExpiredError
    ├── TurnRejectedError
    └── TurnParkedError             it has not ended: an operator can resume or cancel it
"""

from typing import Any, Final

from argosy.errors import ArgosyError, UnavailableError
from argosy.turn.status import Status

NOT_A_GATEWAY: Final = "not_a_gateway"


class ProblemError(ArgosyError):
    """A gateway refused a request. problem: the members of its answer; kind: the stable code, such as
    "unknown_workflow", or NOT_A_GATEWAY when what answered is not one of Argosy's gateways.
    """

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.status = status
        self.problem = problem
        self.kind = str(problem.get("code", NOT_A_GATEWAY))
        self.title = str(problem.get("title", ""))
        self.detail = str(problem.get("detail", ""))
        self.is_retryable = bool(problem.get("retryable", False))
        super().__init__(f"{self.kind} ({status}): {self.detail or self.title}")


class UnauthenticatedError(ProblemError):
    """The gateway asks for a token, or does not take the one that was sent. It does not say which of the reasons."""


class ForbiddenError(ProblemError):
    """Whoever asks may not do this. problem["scope"]: the scope that the token lacks, when that is why."""


class TurnNotFoundError(ProblemError):
    """No turn has this id, or it is another tenant's turn."""


class TurnEndedError(ProblemError):
    """The turn has ended, so nothing can be sent to it any more."""


class GatewayUnreachableError(UnavailableError):
    """No gateway answered. The request may have taken effect; it is safe to repeat under the same idempotency key."""

    is_retryable = True


class JobError(ArgosyError):
    """A job of ingest is not done. status: failed or cancelled; reason: Argosy's code for why."""

    code = "job_not_done"

    def __init__(self, job_id: str, status: str, reason: str, why: str) -> None:
        said = "was cancelled" if status == "cancelled" else status
        super().__init__(f"job {job_id} {said}{': ' if why else ''}{why}")
        self.job_id = job_id
        self.status = status
        self.reason = reason


class TurnError(ArgosyError):
    """A turn did not complete. reason: Argosy's code for why, when there is one."""

    code = "turn_not_completed"

    def __init__(self, turn_id: str, status: str, why: str, reason: str | None = None) -> None:
        super().__init__(f"turn {turn_id} {_SAID.get(status, status)}{': ' if why else ''}{why}")
        self.turn_id = turn_id
        self.status = status
        self.reason = reason


class TurnFailedError(TurnError):
    """The workflow failed. error_type and message: the class name and the message of the exception that it raised.
    traceback: where in the workflow's code that was, the innermost frame first; Python prints it with this error, too.
    It is empty when clients may not see it.
    """

    code = "turn_failed"

    def __init__(
        self, turn_id: str, error_type: str, message: str, reason: str | None = None, traceback: str = ""
    ) -> None:
        super().__init__(turn_id, Status.FAILED.value, f"{error_type}: {message}" if message else error_type, reason)
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


_SAID: Final[dict[str, str]] = {
    Status.CANCELLED: "was cancelled",
    Status.EXPIRED: "expired",
    Status.FAILED: "failed",
    Status.PARKED: "is parked (resume or cancel it)",
    Status.REJECTED: "was rejected",
}
