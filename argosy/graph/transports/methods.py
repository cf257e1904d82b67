"""What calls to a shard over gRPC have in common."""

from typing import Final

from argosy.errors import GraphInputError
from argosy.rpc import shard_pb2 as pb
from argosy.rpc.call_client import Method

SHARD: Final = pb.DESCRIPTOR.services_by_name["Shard"]


def method(name: str, *, writes: bool = False) -> Method:
    return Method(SHARD.methods_by_name[name], writes)


class _Written:
    """Raises GraphInputError in the block for what no message holds: text that is no Unicode, numbers out of range."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, ValueError | TypeError | OverflowError):
            raise GraphInputError(f"this cannot be sent: {error}") from error


WRITTEN: Final = _Written()
