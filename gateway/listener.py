"""How a route learns that its client is gone."""

from starlette.types import Receive


async def until_gone(receive: Receive) -> None:
    """Return when the client has closed its connection; drop what it still sends."""
    while (await receive())["type"] != "http.disconnect":
        pass
