"""Generate the blocking client from the one for asyncio, so that no signature stands twice: argosy/client/sync_NAME.py
from argosy/client/async_NAME.py.

Run `python generate_sync_client.py`; a test fails while the generated file is not current.
"""

import subprocess
import sys
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).parent / "argosy" / "client"
NAMES: Final = ("asking", "client", "jobs")

# In this order. Each must occur in some file: one that does not has no use any more.
_CHANGES: Final = (
    (
        '"""`argosy.AsyncClient`: the client library for asyncio."""\n',
        '"""`argosy.Client`: the client library for code that blocks. Generated: generate_sync_client.py."""\n',
    ),
    (
        '"""`AsyncAsking`: gateways are asked, again and again until one answers, for asyncio."""',
        '"""`Asking`: gateways are asked, again and again until one answers. Generated: generate_sync_client.py."""',
    ),
    (
        '"""`AsyncJobHandle`: a job of ingest, for asyncio."""',
        '"""`JobHandle`: a job of ingest, for code that blocks. Generated: generate_sync_client.py."""',
    ),
    # A body that is sent is read as the client reads: blocking.
    ("content=_sent(uploading)", "content=uploading.blocks()"),
    (
        """

async def _sent(uploading: Uploading) -> AsyncGenerator[bytes, None]:
    for block in uploading.blocks():
        yield block
""",
        "",
    ),
    ("import asyncio\n", ""),
    ("await asyncio.to_thread(bearer.ask)", "bearer.ask()"),
    ("await asyncio.to_thread(uploading.found, ", "uploading.found("),
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
    ("await self.clock.sleep(", "rest("),
    ("await self._asking.clock.sleep(", "rest("),
    ("argosy.client.async_", "argosy.client.sync_"),
    (", None]:", ", None, None]:"),
    ("AsyncGenerator", "Generator"),
    ("AsyncHTTPTransport", "HTTPTransport"),
    ("AsyncClient", "Client"),
    ("AsyncTurnHandle", "TurnHandle"),
    ("AsyncJobHandle", "JobHandle"),
    ("AsyncAsking", "Asking"),
    ("aclosing", "closing"),
    ("aclose()", "close()"),
    ("aread()", "read()"),
    ("__aenter__", "__enter__"),
    ("__aexit__", "__exit__"),
    ("async ", ""),
    ("await ", ""),
)
# Where the one for asyncio waits, the other one rests.
_IMPORT: Final = "from argosy.client.rest import rest\n"


def generated(name: str) -> str:
    """Return the text of sync_NAME.py."""
    text = _source(name)
    for asynchronous, blocking in _CHANGES:
        text = text.replace(asynchronous, blocking)
    if "rest(" in text:
        text = text.replace("\nfrom argosy.", f"\n{_IMPORT}from argosy.", 1)
    for command in (("check", "--select", "I", "--fix"), ("format",)):
        ruff = (Path(sys.executable).with_name("ruff"), *command, "--quiet", "--stdin-filename", target(name), "-")
        text = subprocess.run(ruff, input=text, capture_output=True, text=True, check=True).stdout
    return text


def target(name: str) -> Path:
    """Return the file that is generated."""
    return _FOLDER / f"sync_{name}.py"


def useless() -> list[str]:
    """Return the changes that have nothing to change any more."""
    texts = {name: _source(name) for name in NAMES}
    unused = []
    for asynchronous, blocking in _CHANGES:
        if not any(asynchronous in text for text in texts.values()):
            unused.append(asynchronous)
        texts = {name: text.replace(asynchronous, blocking) for name, text in texts.items()}
    return unused


def _source(name: str) -> str:
    return (_FOLDER / f"async_{name}.py").read_text()


if __name__ == "__main__":
    for each in NAMES:
        target(each).write_text(generated(each))
