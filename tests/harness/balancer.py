"""A client's way to several gateways, as a load balancer gives it."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from bench.http import Answer, HttpClient

_RETRIED = frozenset({502, 503})


class Balancer:
    """Takes gateways in turn. is_retrying: a call that got no answer, or was refused, is made again at the next.

    retried: how many calls needed that.
    """

    def __init__(self, urls: Sequence[str], *, is_retrying: bool = False) -> None:
        parts = [urlsplit(url) for url in urls]
        self._gateways = [HttpClient(part.hostname or "", part.port or 0) for part in parts]
        self._is_retrying = is_retrying
        self._next = 0
        self.retried = 0

    async def request(self, method: str, path: str, body: bytes = b"", headers: str = "") -> Answer:
        """As HttpClient.request."""
        self._next = first = (self._next + 1) % len(self._gateways)
        try:
            answer = await self._gateways[first].request(method, path, body, headers)
            if answer.status not in _RETRIED or not self._is_retrying:
                return answer
        except OSError:
            if not self._is_retrying:
                raise
        self.retried += 1
        return await self._gateways[(first + 1) % len(self._gateways)].request(method, path, body, headers)

    def close(self) -> None:
        for gateway in self._gateways:
            gateway.close()
