"""How an error of Argosy's crosses a call: as a gRPC status for people and tools, and as a refusal for the caller.

A caller believes the refusal, which is signed, and the status only as far as it says that the call did not succeed.
"""

from typing import Any, Final

import grpc
import msgspec

from argosy.errors import (
    ArgosyError,
    CopyBrokenError,
    CypherError,
    FencedError,
    GraphDeadlineError,
    GraphDroppedError,
    GraphFileError,
    GraphForbiddenError,
    GraphInputError,
    GraphNotFoundError,
    GraphTooLargeError,
    InternalError,
    KeyExpiredError,
    KeyMismatchError,
    ListsDisagreeError,
    OutcomeUnknownError,
    ShardBusyError,
    ShardUnavailableError,
    ViewLostError,
    WrongOwnerError,
)
from argosy.rpc.call_signing import REFUSAL_HEADER
from argosy.rpc.signing import SignatureError

CODE_HEADER: Final = "argosy-code"
# The code of a call that was refused for the caller's clock, which no caller of a transport sees.
STALE: Final = "stale_call"
# Metadata have 8 KiB in all, a message is in them twice, and gRPC writes a byte as up to three.
_MESSAGE_SIZE_BYTES_MAX: Final = 1_024

_STATUSES: Final[dict[type[ArgosyError], grpc.StatusCode]] = {
    GraphInputError: grpc.StatusCode.INVALID_ARGUMENT,
    CypherError: grpc.StatusCode.INVALID_ARGUMENT,
    GraphTooLargeError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    GraphNotFoundError: grpc.StatusCode.NOT_FOUND,
    GraphForbiddenError: grpc.StatusCode.PERMISSION_DENIED,
    KeyMismatchError: grpc.StatusCode.FAILED_PRECONDITION,
    KeyExpiredError: grpc.StatusCode.FAILED_PRECONDITION,
    FencedError: grpc.StatusCode.FAILED_PRECONDITION,
    WrongOwnerError: grpc.StatusCode.FAILED_PRECONDITION,
    ShardUnavailableError: grpc.StatusCode.UNAVAILABLE,
    ShardBusyError: grpc.StatusCode.UNAVAILABLE,
    GraphFileError: grpc.StatusCode.UNAVAILABLE,
    ViewLostError: grpc.StatusCode.UNAVAILABLE,
    CopyBrokenError: grpc.StatusCode.FAILED_PRECONDITION,
    OutcomeUnknownError: grpc.StatusCode.UNAVAILABLE,
    GraphDeadlineError: grpc.StatusCode.DEADLINE_EXCEEDED,
    InternalError: grpc.StatusCode.INTERNAL,
}
_TYPES: Final = {each.code: each for each in _STATUSES}
# What came later, by the code that versions before know it as: theirs is the wider error.
_NARROWER: Final[dict[str, dict[str, type[ArgosyError]]]] = {
    WrongOwnerError.code: {GraphDroppedError.code: GraphDroppedError},
    ShardUnavailableError.code: {ListsDisagreeError.code: ListsDisagreeError},
}


class Refusal(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a call failed. message, position: CypherError's are apart. now_ms: the callee's clock, of a stale call. kind:
    which error of this code it is; empty: the code says it.
    """

    code: str
    message: str
    position: tuple[int, int] | None = None
    now_ms: int = 0
    kind: str = ""


_decode: Final = msgspec.json.Decoder(Refusal).decode


def refusal_of(error: ArgosyError) -> Refusal:
    """Return what tells a caller of an error. One that has no place here is a bug of Argosy's."""
    for code, kinds in _NARROWER.items():
        if error.code in kinds:
            return Refusal(code, _shortened(str(error)), kind=error.code)
    known = error.code if error.code in _TYPES else InternalError.code
    if isinstance(error, CypherError):
        return Refusal(known, _shortened(error.message), error.position)
    return Refusal(known, _shortened(str(error)))


def error_of(refusal: Refusal) -> ArgosyError:
    """Return the error as it was raised at the callee; of a code that a newer version has, an InternalError."""
    kind = _NARROWER.get(refusal.code, {}).get(refusal.kind) or _TYPES.get(refusal.code, InternalError)
    if kind is CypherError:
        return CypherError(refusal.message, refusal.position)
    return kind(refusal.message)


def details_of(refusal: Refusal) -> str:
    """Return what a status says to people and tools."""
    return str(error_of(refusal))


def status_of(refusal: Refusal) -> grpc.StatusCode:
    if refusal.code == STALE:
        return grpc.StatusCode.UNAUTHENTICATED
    return _STATUSES[_TYPES[refusal.code]]


def encode(refusal: Refusal) -> bytes:
    return msgspec.json.encode(refusal)


def decode(raw: bytes) -> Refusal:
    """Return a refusal, of which the signature was valid. Raises SignatureError for what is none."""
    try:
        return _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SignatureError("the refusal is of another version") from error


def metadata_of(refusal: Refusal, signed: bytes) -> tuple[tuple[str, Any], ...]:
    """Return the metadata that end a refused call. signed: the refusal, encoded and signed."""
    return ((CODE_HEADER, refusal.code), (REFUSAL_HEADER, signed))


def _shortened(message: str) -> str:
    raw = message.encode(errors="replace")
    if len(raw) <= _MESSAGE_SIZE_BYTES_MAX:
        return raw.decode()
    return raw[:_MESSAGE_SIZE_BYTES_MAX].decode(errors="ignore") + "…"
