"""The access control list of a graph, in its file."""

from typing import Final

import apsw

from argosy.errors import GraphInputError
from argosy.graph.acl import GraphAcl, decode_acl, encode_acl
from argosy.shards.engines.connection import FileDamagedError
from argosy.statements import load_statements

_SQL: Final = load_statements("argosy.shards.engines", "schema")


def read_acl(connection: apsw.Connection) -> GraphAcl | None:
    """Return the list; None: there is none. Raises FileDamagedError when what is there is none."""
    if connection.execute(_SQL["has_acl"]).fetchone() is None:
        return None
    row = connection.execute(_SQL["read_acl"]).fetchone()
    if row is None:
        return None
    try:
        return decode_acl(row[0])
    except GraphInputError as error:
        raise FileDamagedError(f"the graph's access control list cannot be read: {error}") from error


def write_acl(connection: apsw.Connection, acl: GraphAcl | None) -> None:
    """Set the list, or remove it. connection: in a transaction."""
    if connection.execute(_SQL["has_acl"]).fetchone() is None:
        if acl is None:
            return
        connection.execute(_SQL["make_acl"])
    connection.execute(_SQL["delete_acl"])
    if acl is not None:
        connection.execute(_SQL["insert_acl"], (encode_acl(acl),))
