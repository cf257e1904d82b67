"""The file of one graph, alone: batches go into it as the engine has them do, and what is derived is told of them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import apsw

from argosy.graph.facts import Source
from argosy.graph.ops import Op, check_ops
from argosy.shards.engines.changes import Changes
from argosy.shards.engines.connection import open_file, snapshot, transaction
from argosy.shards.engines.derived import Derived
from argosy.statements import load_statements


class OneFile:
    def __init__(self, path: Path, *derived: Derived) -> None:
        self.connection = open_file(path, is_new=True)
        self._path = path
        self._derived = derived
        self._version = 0
        with transaction(self.connection):
            self.connection.execute(load_statements("argosy.shards.engines", "schema")["make_graph"])

    def apply(self, *ops: Op) -> None:
        check_ops(ops)
        self._version += 1
        with transaction(self.connection):
            self._do(ops)

    def apply_and_roll_back(self, *ops: Op) -> None:
        self.connection.execute("BEGIN")
        self._version += 1
        self._do(ops)
        self.connection.execute("ROLLBACK")

    @contextmanager
    def reading(self) -> Iterator[apsw.Connection]:
        with snapshot(self.connection):
            yield self.connection

    @contextmanager
    def another_connection(self) -> Iterator[apsw.Connection]:
        connection = open_file(self._path)
        with snapshot(connection):
            yield connection
        connection.close()

    def close(self) -> None:
        self.connection.close()

    def _do(self, ops: Sequence[Op]) -> None:
        changes = Changes(self.connection, self._version, Source("turn-1", "remember"), self._derived)
        for op in ops:
            changes.do(op)
        changes.tell()
