"""The answer on a connection that the protocol refuses, outside of every route."""

from http import HTTPStatus

import msgspec

from argosy.gateway.problems import CONTENT_TYPE, Problem


def refusal(problem: Problem) -> bytes:
    """Return the bytes of an HTTP/1.1 answer that closes the connection."""
    body, status = msgspec.json.encode(problem.body()), problem.kind.status
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: {CONTENT_TYPE}\r\n"
        f"content-length: {len(body)}\r\ncache-control: no-store\r\nconnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body
