"""Opens SQLite files, and says what SQLite's errors mean to whoever asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import apsw

from argosy.errors import ArgosyError, GraphDeadlineError, GraphFileError, OutcomeUnknownError

# Pages that a connection keeps: most graphs are smaller.
_CACHE_KIB: Final = 2_048
_BULK_CACHE_KIB: Final = 32_768
# What is left of the log of writes once all of it is in the file, after a large one too.
_WAL_SIZE_BYTES_MAX: Final = 4_194_304
CHECKPOINT_PAGES: Final = 1_000  # of the log, before a commit has them written to the file: SQLite's own number
# Nobody else writes; a checkpoint and the last reader's closing may be in the way for a moment.
_BUSY_MS: Final = 5_000


# Of files that this version reads and writes.
FORMAT: Final = 1


class FileDamagedError(GraphFileError):
    """No later try can use the file: it is no database, or not that of a graph."""


def open_file(path: Path, *, is_new: bool = False) -> apsw.Connection:
    """Open a file in which every commit is on disk before it returns. One that is not there is made if it is to be new;
    otherwise that raises GraphFileError.
    """
    flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if is_new else 0)
    with told():
        connection = apsw.Connection(str(path), flags=flags)
        try:
            if connection.pragma("user_version") > FORMAT:
                raise GraphFileError(f"{path.name} was written by a newer version of Argosy")
            connection.set_busy_timeout(_BUSY_MS)
            connection.pragma("journal_mode", "wal")
            connection.pragma("synchronous", "full")
            connection.pragma("secure_delete", True)  # what is deleted or written over is not in free pages either
            connection.pragma("cache_size", -_CACHE_KIB)
            connection.pragma("journal_size_limit", _WAL_SIZE_BYTES_MAX)
        except BaseException:
            connection.close()
            raise
    return connection


@contextmanager
def new_file(path: Path) -> Iterator[apsw.Connection]:
    """Write a new file in one commit: when this returns, it is on disk, and in this one file. Nobody may know the file
    yet: when something fails, what is there of it is useless.
    """
    with told():
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
        try:
            connection.pragma("journal_mode", "off")
            connection.pragma("synchronous", "full")
            with roomy(connection), transaction(connection):
                connection.pragma("user_version", FORMAT)
                yield connection
            connection.pragma("journal_mode", "wal")
        finally:
            connection.close()


class _Told:
    """A class and no generator: each read passes here, and a generator costs as much as reading a node."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, apsw.Error):
            raise told_of(error) from error


_TOLD: Final = _Told()


def told() -> _Told:
    """Raise errors of SQLite as errors of Argosy."""
    return _TOLD


def told_of(error: apsw.Error) -> ArgosyError:
    """Return an error of SQLite as an error of Argosy."""
    if isinstance(error, apsw.InterruptError):
        return GraphDeadlineError("the read was stopped at its deadline")
    if isinstance(error, apsw.NotADBError | apsw.CorruptError):
        return FileDamagedError(f"the graph's file is damaged: {error}")
    return GraphFileError(f"the graph's file: {error}")


@contextmanager
def transaction(connection: apsw.Connection) -> Iterator[None]:
    """Write in one commit: when this returns, it is on disk. When the commit itself fails, OutcomeUnknownError."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        roll_back(connection)
        raise
    try:
        connection.execute("COMMIT")
    except apsw.Error as error:
        roll_back(connection)
        raise OutcomeUnknownError(f"the graph's file: {error}") from error


@contextmanager
def roomy(connection: apsw.Connection) -> Iterator[None]:
    """Write very much: with more pages in memory."""
    connection.pragma("cache_size", -_BULK_CACHE_KIB)
    try:
        yield
    finally:
        connection.pragma("cache_size", -_CACHE_KIB)


@contextmanager
def impatient(connection: apsw.Connection, bound_ms: int = 0) -> Iterator[None]:
    """Wait no longer than this for others: what they are in the way of is not done."""
    connection.set_busy_timeout(bound_ms)
    try:
        yield
    finally:
        connection.set_busy_timeout(_BUSY_MS)


@contextmanager
def snapshot(connection: apsw.Connection) -> Iterator[None]:
    """Read at one moment, with several statements."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        roll_back(connection)


def roll_back(connection: apsw.Connection) -> None:
    """End the transaction, if SQLite has not ended it itself, as it does for some errors."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")
