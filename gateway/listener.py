"""Whether the client still listens."""

from starlette.types import Receive


async def until_gone(receive: Receive) -> None:
    """Returns when the client has closed its connection. What it still sends is dropped."""
    while (await receive())["type"] != "http.disconnect":
        pass
