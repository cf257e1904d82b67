"""Where a request comes from, and by which id its answer and the audit call it: settled before anything else.

The peer is the source, unless it is one of GATEWAY_TRUSTED_PROXIES. Then X-Forwarded-For says from whom it took the
request: read from its end, the first address that is no trusted proxy's. What stands further left, anybody may have
written. A request that names hops and comes from no trusted proxy is marked: an operator may have forgotten one.

X-Request-Id is a client's, or a proxy's, if it looks like an id; else the gateway makes one. The answer has it.
"""

import os
import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from starlette.types import Scope

HEADER: Final = b"x-request-id"
_ID: Final = "argosy.request_id"
_UNBELIEVED: Final = "argosy.unbelieved_hops"
_WELL_FORMED: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_MADE_BYTES: Final = 12
_WITH_PORT: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\d{1,5})?|(\d+\.\d+\.\d+\.\d+):\d{1,5}")
_HOPS_MAX: Final = 32  # that are looked at: no chain of proxies is longer

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


class Origins:
    """Finds out where requests come from."""

    def __init__(self, trusted: Sequence[Network]) -> None:
        self._trusted = tuple(trusted)

    def settle(self, scope: Scope) -> bytes:
        """Write the source of a request into its scope, and its id, which is returned."""
        given = None
        hops: list[bytes] = []
        for name, value in scope["headers"]:
            if name == HEADER:
                given = value if given is None else b""  # two are none
            elif name == b"x-forwarded-for":
                hops.append(value)
        if hops:
            client = scope.get("client")
            if self._trusted and client and self._is_trusted(_address(client[0])):
                scope["client"] = self._client(client, b",".join(hops).decode("latin-1"))
            else:
                scope[_UNBELIEVED] = True
        request_id = given if given and _WELL_FORMED.fullmatch(given) else os.urandom(_MADE_BYTES).hex().encode()
        scope[_ID] = request_id.decode()
        return request_id

    def _client(self, proxy: tuple[str, int], forwarded: str) -> tuple[str, int]:
        """Return from whom a trusted proxy took a request."""
        found = proxy
        for hop in reversed(forwarded.rsplit(",", _HOPS_MAX)[-_HOPS_MAX:]):
            address = _address(hop)
            if address is None:
                return found  # a proxy wrote what is no address: nothing left of it is believed
            found = (str(address), 0)
            if not self._is_trusted(address):
                return found
        return found

    def _is_trusted(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._trusted)


def request_id_of(scope: Scope) -> str:
    """Return the id of a request; empty outside of a gateway."""
    return str(scope.get(_ID, ""))


def has_unbelieved_hops(scope: Scope) -> bool:
    """Whether a request says from where it was forwarded, and comes from nobody who is believed that."""
    return _UNBELIEVED in scope


def _address(text: str) -> Address | None:
    text = text.strip()
    if with_port := _WITH_PORT.fullmatch(text):
        text = with_port[1] or with_port[2]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
