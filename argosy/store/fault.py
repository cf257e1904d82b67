"""What an error of a loop means, and so what the loop does about it. One table, pure.

AWAY: the store, the log or another process cannot be reached, or was busy with others: the same again, later.
SLOW: Postgres did not get done with this statement, for want of time or memory: the same again; and when that came to
the same, less at once. One that is alone is only tried again.
CONTENT: what was sent or read is at fault: the same again cannot help. Less at once, until what is at fault stands
alone and is kept aside with a reason.
BUG: nobody thought of it. Said once with its traceback, then as CONTENT; what has no content is tried again, later.
END: what this process holds is not true any more, or it was told wrongly: it ends, and a new one begins anew.
"""

from enum import Enum
from typing import Final

import asyncpg
import msgspec

from argosy.errors import (
    ArgosyError,
    CallerError,
    FlushRefusedError,
    LogUnavailableError,
    OutcomeUnknownError,
    OwnershipLostError,
    SettingError,
    StoreSlowError,
    UnavailableError,
)


class Fault(Enum):
    AWAY = "away"
    SLOW = "slow"
    CONTENT = "content"
    BUG = "bug"
    END = "end"


# The first that fits counts: what is special stands before what is general.
_TABLE: Final[tuple[tuple[type[BaseException], Fault], ...]] = (
    # Ours
    (OwnershipLostError, Fault.END),
    (SettingError, Fault.END),
    (StoreSlowError, Fault.SLOW),
    (UnavailableError, Fault.AWAY),
    (LogUnavailableError, Fault.AWAY),
    (OutcomeUnknownError, Fault.AWAY),
    (FlushRefusedError, Fault.CONTENT),
    (CallerError, Fault.CONTENT),
    (ArgosyError, Fault.BUG),
    # Postgres, of a statement
    (asyncpg.QueryCanceledError, Fault.SLOW),
    (asyncpg.OutOfMemoryError, Fault.SLOW),
    (asyncpg.DataError, Fault.CONTENT),
    (asyncpg.ProgramLimitExceededError, Fault.CONTENT),
    (asyncpg.IntegrityConstraintViolationError, Fault.CONTENT),
    (asyncpg.InternalServerError, Fault.CONTENT),  # "invalid memory alloc request size", a page that cannot be read
    # Postgres, of the server or the connection
    (asyncpg.PostgresConnectionError, Fault.AWAY),
    (asyncpg.OperatorInterventionError, Fault.AWAY),  # it starts, stops, or crashed
    (asyncpg.InsufficientResourcesError, Fault.AWAY),  # no free connection, the disk is full
    (asyncpg.TransactionRollbackError, Fault.AWAY),  # a deadlock, a serialization failure: somebody else went first
    (asyncpg.ObjectNotInPrerequisiteStateError, Fault.AWAY),  # a lock that is not free, or the server is in recovery
    (asyncpg.PostgresSystemError, Fault.AWAY),
    (asyncpg.ReadOnlySQLTransactionError, Fault.AWAY),
    (asyncpg.InvalidAuthorizationSpecificationError, Fault.AWAY),  # of a connection: it will not have us now
    (asyncpg.InvalidCatalogNameError, Fault.AWAY),
    # It is being restored: whoever waits finds it when it is whole.
    (asyncpg.UndefinedTableError, Fault.AWAY),
    (asyncpg.UndefinedFunctionError, Fault.AWAY),
    (asyncpg.InvalidSchemaNameError, Fault.AWAY),
    (asyncpg.PostgresError, Fault.BUG),
    (asyncpg.InternalClientError, Fault.AWAY),  # a connection that was cut while it was cleaned up
    # Python's
    (ValueError, Fault.CONTENT),  # what asyncpg cannot send, and what is no Unicode, are some
    (asyncpg.InterfaceError, Fault.AWAY),  # the connection is closed
    (OSError, Fault.AWAY),  # TimeoutError among them
    (msgspec.MsgspecError, Fault.CONTENT),
    (MemoryError, Fault.CONTENT),
    (RecursionError, Fault.CONTENT),
)

_GRAVEST_FIRST: Final = (Fault.END, Fault.BUG, Fault.CONTENT, Fault.SLOW, Fault.AWAY)


def fault_of(error: BaseException) -> Fault:
    """What an error means. Of a group: the gravest of what is in it."""
    if isinstance(error, BaseExceptionGroup):
        faults = {fault_of(each) for each in error.exceptions}
        return next(each for each in _GRAVEST_FIRST if each in faults)
    return next((fault for kind, fault in _TABLE if isinstance(error, kind)), Fault.BUG)
