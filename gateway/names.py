"""Checks of the names, keys, ids and tenants in a path or a header.

Every function returns the checked value. It raises Problem, with a detail that says how to correct the request.
"""

import re
import uuid
from typing import Final
from urllib.parse import unquote_to_bytes

from starlette.types import Scope

from argosy.gateway.problems import Problem
from argosy.graph import ops as graph_ops
from argosy.names import VANISHING, fault_of_name, is_key, is_tenant

DEFAULT_TENANT: Final = "default"

_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def session_name(name: str) -> str:
    """Return a session's name, if it follows the rules in argosy/names.py."""
    return _name(name, "a session's name", "invalid_session")


def signal_name(name: str) -> str:
    """Return a signal's name, if it follows the rules of a session's name."""
    return _name(name, "a signal's name", "invalid_request")


def graph_name(name: str) -> str:
    """Return a graph's name, if it follows the rules in argosy/graph/ops.py and a URL can hold it."""
    return _name_in_graph(name, "the name of a graph", "invalid_graph")


def node_id(name: str) -> str:
    """Return a node's id, if it follows the rules in argosy/graph/ops.py and a URL can hold it."""
    return _name_in_graph(name, "the id of a node", "invalid_graph_input")


def _name_in_graph(name: str, what: str, code: str) -> str:
    if fault := graph_ops.fault_of_name(name):
        raise Problem(code, f"{what} {fault}")
    if name in VANISHING:
        raise Problem(code, f"{what} in an address is not {name!r}: no URL can hold it")
    return name


def _name(name: str, what: str, code: str) -> str:
    if fault := fault_of_name(name):
        raise Problem(code, f"{what} {fault}")
    return name


def idempotency_key(key: str) -> str:
    """Return an idempotency key, if it has 1 to 256 visible ASCII characters."""
    if not is_key(key):
        raise Problem("invalid_request", "an idempotency key has 1 to 256 visible ASCII characters, without spaces")
    return key


def tenant(name: str) -> str:
    """Return a tenant's name, if it has 1 to 63 letters, digits, dots, underscores or dashes."""
    if not is_tenant(name):
        raise Problem("invalid_parameter", "X-Argosy-Tenant has 1 to 63 letters, digits, dots, underscores or dashes")
    return name


def turn_id(text: str) -> uuid.UUID:
    """Return the UUID of a turn id, if the id has the form in which this API writes it."""
    if not _ID.fullmatch(text):
        raise Problem("invalid_id", "a turn id looks like 01234567-89ab-8cde-8f01-23456789abcd")
    return uuid.UUID(text)


def job_id(text: str) -> uuid.UUID:
    """Return the UUID of a job's id, if the id has the form in which this API writes it."""
    if not _ID.fullmatch(text):
        raise Problem("invalid_id", "the id of a job looks like 01234567-89ab-8cde-8f01-23456789abcd")
    return uuid.UUID(text)


def path_segment(scope: Scope, index: int) -> str:
    """Return a segment of the path, decoded from the path as the client encoded it. index: 0 is the first ("v1").

    The server's own decoding turns %2F into a separator and bytes that are not UTF-8 into U+FFFD, so that different
    names would become the same.
    """
    raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
    segment = raw_path.split(b"?", 1)[0].split(b"/")[index + 1]
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise Problem("invalid_parameter", "the path is not valid UTF-8") from None
