"""Hosts and ports: how they are written, and what a socket is bound to. An IPv6 address has brackets around it wherever
a port may follow, and none where it stands alone.
"""

import errno
import socket
from typing import Any


def bare_host(host: str) -> str:
    """A host that stands alone: an IPv6 address in brackets loses them."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def host_port(host: str, port: int) -> str:
    """As in a URL or a gRPC target."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def http_url(host: str, port: int, path: str = "") -> str:
    return f"http://{host_port(host, port)}{path}"


def to_bind(host: str, port: int) -> tuple[socket.AddressFamily, Any]:
    """The family of a listening socket, and its address. Of a name that has several, an IPv4 one: that is where clients
    look first. Raises OSError.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except UnicodeError as error:
        raise OSError(errno.EINVAL, "this is no name of a host") from error
    family, _, _, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
    return family, address
