"""Generate `argosy/client/sync_client.py` from `argosy/client/async_client.py`, so that no signature stands twice.

Run `python generate_sync_client.py`; a test fails while the generated file is not current.
"""

import subprocess
import sys
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).parent / "argosy" / "client"
TARGET: Final = _FOLDER / "sync_client.py"

# In this order. Each must occur: one that does not has no use any more.
_CHANGES: Final = (
    (
        '"""`argosy.AsyncClient`: the client library for asyncio."""\n',
        '"""`argosy.Client`: the client library for code that blocks. Generated: generate_sync_client.py."""\n',
    ),
    ("from collections.abc import AsyncGenerator", "import threading\nfrom collections.abc import Generator"),
    ("A client is used on one event loop.", "Several threads may use one client."),
    # A stream submits its turn when it is called. In asyncio that can only be when it is first iterated.
    (
        """\
        handle = await self.submit(workflow, input, **given)
        async with aclosing(handle.events()) as events:
            async for event in events:
                yield event
""",
        "        return self.submit(workflow, input, **given).events()\n",
    ),
    ("await self._clock.sleep(", "_rest("),
    ("await self._client._clock.sleep(", "_rest("),
    (", None]:", ", None, None]:"),
    ("AsyncGenerator", "Generator"),
    ("AsyncHTTPTransport", "HTTPTransport"),
    ("AsyncClient", "Client"),
    ("AsyncTurnHandle", "TurnHandle"),
    ("aclosing", "closing"),
    ("aclose()", "close()"),
    ("aread()", "read()"),
    ("__aenter__", "__enter__"),
    ("__aexit__", "__exit__"),
    ("async ", ""),
    ("await ", ""),
)
_END: Final = """

def _rest(pause_s: float) -> None:
    if pause_s > 0:
        threading.Event().wait(pause_s)
"""


def generated() -> str:
    """Return the text of sync_client.py. Raises ValueError when a change has nothing to change."""
    text = (_FOLDER / "async_client.py").read_text()
    for asynchronous, blocking in _CHANGES:
        if asynchronous not in text:
            raise ValueError(f"async_client.py has no {asynchronous!r}: change the table")
        text = text.replace(asynchronous, blocking)
    text += _END
    for command in (("check", "--select", "I", "--fix"), ("format",)):
        ruff = (Path(sys.executable).with_name("ruff"), *command, "--quiet", "--stdin-filename", TARGET, "-")
        text = subprocess.run(ruff, input=text, capture_output=True, text=True, check=True).stdout
    return text


if __name__ == "__main__":
    TARGET.write_text(generated())
