"""uvicorn's configuration of a gateway, in its own process or in another program's."""

from typing import Any

import uvicorn

from argosy import telemetry
from argosy.config import Settings
from argosy.gateway.http_protocol import http_protocol
from argosy.process.open_files import OTHERS, open_files_max

log = telemetry.logger()


def server_config(app: Any, settings: Settings, *, is_own_process: bool, **more: Any) -> uvicorn.Config:
    """Return uvicorn's configuration of a gateway. more: further arguments of uvicorn.Config.

    is_own_process: the process is there to be a gateway, so its soft limit of open files may be raised, and a limit
    that is too low for GATEWAY_CONNECTIONS_MAX is logged.
    """
    possible = max(16, open_files_max(is_own_process=is_own_process) - OTHERS)
    connections_max = min(settings.gateway_connections_max, possible)
    if is_own_process and possible < settings.gateway_connections_max:
        log.warning(
            telemetry.GATEWAY_FEW_FILES, connections_max=connections_max, wanted=settings.gateway_connections_max
        )
    return uvicorn.Config(
        app,
        http=http_protocol(settings, connections_max),  # type: ignore[arg-type]  # uvicorn only calls it, as it would a class
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,  # uvicorn would believe X-Forwarded-For of anybody on this machine
        **more,
    )
