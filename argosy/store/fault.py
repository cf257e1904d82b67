"""What an error in a loop means, and so what the loop does about it. One table, pure.

AWAY: the store, the log or another process cannot be reached, or is busy with others. The loop does the same again
    later.
SLOW: Postgres did not finish this statement, for want of time or memory. The loop does the same again; if that fails
    the same way, it sends less at once. A single item is only tried again.
CONTENT: what was sent or read is at fault, so the same again cannot help. The loop sends less at once, until the item
    at fault stands alone and is put aside with a reason.
BUG: no rule foresees the error. The loop logs it once with its traceback and then does as for CONTENT; without content
    it tries again later.
END: what this process holds is not true any more, or its settings are wrong. The process ends, and a new one starts
    afresh.
"""

import ssl
from enum import Enum
from typing import Final

import asyncpg
import msgspec

from argosy.errors import (
    ArgosyError,
    CallerError,
    FencedError,
    FlushRefusedError,
    LogUnavailableError,
    OutcomeUnknownError,
    OwnershipLostError,
    SettingError,
    StoreSlowError,
    UnavailableError,
)
from argosy.seal.errors import PayloadUnreadableError


class Fault(Enum):
    AWAY = "away"
    SLOW = "slow"
    CONTENT = "content"
    BUG = "bug"
    END = "end"


# The first entry that fits counts: special kinds stand before general ones.
_TABLE: Final[tuple[tuple[type[BaseException], Fault], ...]] = (
    # Argosy's own
    (OwnershipLostError, Fault.END),
    (SettingError, Fault.END),
    (StoreSlowError, Fault.SLOW),
    (UnavailableError, Fault.AWAY),
    (LogUnavailableError, Fault.AWAY),
    (OutcomeUnknownError, Fault.AWAY),
    (FlushRefusedError, Fault.CONTENT),
    (CallerError, Fault.CONTENT),
    (PayloadUnreadableError, Fault.CONTENT),
    (FencedError, Fault.CONTENT),  # an attempt that a later one has overtaken: it alone is put aside
    (ArgosyError, Fault.BUG),
    # From Postgres, about a statement
    (asyncpg.QueryCanceledError, Fault.SLOW),
    (asyncpg.OutOfMemoryError, Fault.SLOW),
    (asyncpg.DataError, Fault.CONTENT),
    (asyncpg.ProgramLimitExceededError, Fault.CONTENT),
    (asyncpg.IntegrityConstraintViolationError, Fault.CONTENT),
    (asyncpg.InternalServerError, Fault.CONTENT),  # "invalid memory alloc request size", a page that cannot be read
    # From Postgres, about the server or the connection
    (asyncpg.PostgresConnectionError, Fault.AWAY),
    (asyncpg.OperatorInterventionError, Fault.AWAY),  # the server starts, stops, or has crashed
    (asyncpg.InsufficientResourcesError, Fault.AWAY),  # no free connection, or the disk is full
    (asyncpg.TransactionRollbackError, Fault.AWAY),  # a deadlock, or another transaction went first
    (asyncpg.ObjectNotInPrerequisiteStateError, Fault.AWAY),  # a lock is not free, or the server is in recovery
    (asyncpg.PostgresSystemError, Fault.AWAY),
    (asyncpg.ReadOnlySQLTransactionError, Fault.AWAY),
    (asyncpg.InvalidAuthorizationSpecificationError, Fault.AWAY),  # the server refuses this connection now
    (asyncpg.InvalidCatalogNameError, Fault.AWAY),
    # The database is being restored: later the object is there.
    (asyncpg.UndefinedTableError, Fault.AWAY),
    (asyncpg.UndefinedFunctionError, Fault.AWAY),
    (asyncpg.InvalidSchemaNameError, Fault.AWAY),
    (asyncpg.PostgresError, Fault.BUG),
    (asyncpg.InternalClientError, Fault.AWAY),  # a connection was cut while asyncpg cleaned it up
    # From Python and libraries
    (ssl.SSLError, Fault.AWAY),  # some are ValueErrors: a server whose certificate is none of ours
    (ValueError, Fault.CONTENT),  # among them: a value that asyncpg cannot send, text that is not Unicode
    (asyncpg.InterfaceError, Fault.AWAY),  # the connection is closed
    (OSError, Fault.AWAY),  # TimeoutError among them
    (msgspec.MsgspecError, Fault.CONTENT),
    (MemoryError, Fault.CONTENT),
    (RecursionError, Fault.CONTENT),
)

_GRAVEST_FIRST: Final = (Fault.END, Fault.BUG, Fault.CONTENT, Fault.SLOW, Fault.AWAY)


def fault_of(error: BaseException) -> Fault:
    """Return what an error means; for an exception group, the gravest fault in it."""
    if isinstance(error, BaseExceptionGroup):
        faults = {fault_of(each) for each in error.exceptions}
        return next(each for each in _GRAVEST_FIRST if each in faults)
    return next((fault for kind, fault in _TABLE if isinstance(error, kind)), Fault.BUG)
