"""Hosts and ports: how to write them, and how to bind a socket to them. An IPv6 address is written in brackets where a
port may follow it, and without brackets where it stands alone.
"""

import errno
import re
import socket
from ipaddress import ip_address
from typing import Any, Final

from argosy.errors import SettingError

_UNIX: Final = re.compile(r"unix:/[^\x00\s]+")
_TCP: Final = re.compile(r"(?:tcp://)?(?P<target>(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5}))")


def bare_host(host: str) -> str:
    """Return the host as it is written without a port: an IPv6 address without brackets."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def host_port(host: str, port: int) -> str:
    """Return host and port as a URL or a gRPC target has them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def http_url(host: str, port: int, path: str = "") -> str:
    return f"http://{host_port(host, port)}{path}"


def shard_target(endpoint: str) -> str:
    """Return the endpoint of a shard as a gRPC target: tcp://host:port without its scheme, or unix:/path. Raises
    ValueError.
    """
    if _UNIX.fullmatch(endpoint):
        return endpoint
    found = _TCP.fullmatch(endpoint)
    if found is None or not 0 < int(found["port"]) < 65_536:
        raise ValueError(f"{endpoint!r} is no endpoint of a shard: tcp://host:port, host:port or unix:/path")
    return found["target"]


def check_reach(host: str, *, is_remote_allowed: bool) -> None:
    """Raise SettingError when a gateway at this host could be reached from elsewhere, and that is not allowed."""
    if not is_remote_allowed and not is_loopback(host):
        raise SettingError(
            f"HOST={host} is not a loopback address: nothing there is encrypted, and without KG_AUTH_REQUIRED=1 "
            "nobody is asked who they are: bind 127.0.0.1, or set GATEWAY_ALLOW_REMOTE=1 where the network is trusted"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens at this host."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def to_bind(host: str, port: int) -> tuple[socket.AddressFamily, Any]:
    """Return the family and the address to bind a listening socket to. Of a name with several addresses it is an IPv4
    one if there is any, because clients try that first. Raises OSError when the host has no address.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except UnicodeError as error:
        raise OSError(errno.EINVAL, "this is no name of a host") from error
    family, _, _, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
    return family, address
