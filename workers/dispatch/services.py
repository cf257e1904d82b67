"""What other processes may call of a worker, and the end of what it calls of them."""

from argosy.rpc.server import RpcServer
from argosy.workers.dispatch.others import Others
from argosy.workers.dispatch.poke import PokeService
from argosy.workers.dispatch.stream.service import WatchService


class Services:
    """The services of the worker's gRPC server. Serves from `start` to `close`."""

    def __init__(self, server: RpcServer, pokes: PokeService, streams: WatchService, others: Others) -> None:
        self._server = server
        self._pokes = pokes
        self._streams = streams
        self._others = others

    async def start(self) -> None:
        await self._server.start(self._pokes, self._streams)

    async def close(self) -> None:
        self._streams.close()
        self._pokes.close()
        await self._others.close()
        await self._server.stop()
