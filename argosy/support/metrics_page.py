"""What a process answers at /metrics."""

from typing import Final
from urllib.parse import urlsplit

import httpx2

from argosy.errors import CallerError, UnavailableError

_PATH: Final = "/metrics"


def read(url: str, within_s: float, size_bytes_max: int) -> bytes:
    """Return the metrics of a process, at most a byte more than size_bytes_max. url: of the process, or of its page.

    Raises UnavailableError when it does not answer, CallerError when what answers is no page of metrics.
    """
    page = url if urlsplit(url).path.strip("/") else url.rstrip("/") + _PATH
    content = bytearray()
    try:
        with (
            httpx2.Client(timeout=within_s, trust_env=False) as client,
            client.stream("GET", page) as answer,
        ):
            if answer.status_code != httpx2.codes.OK:
                raise CallerError(f"{page} answers {answer.status_code}")
            for chunk in answer.iter_bytes():
                content += chunk
                if len(content) > size_bytes_max:
                    break
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise UnavailableError(f"{page} does not answer: {error}") from error
    return bytes(content[: size_bytes_max + 1])
