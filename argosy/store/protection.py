"""Whether what is said to Postgres can be read, and by whom it is believed to be heard."""

import ssl
from typing import Any, Final

from argosy.address import is_loopback

_MEND: Final = "say sslmode=verify-full and sslrootcert=FILE in STATE_DB_URI"


def unprotected(connection: Any) -> list[str]:
    """Return a warning, if there is one to give, about how an open connection is protected."""
    transport = connection._transport  # asyncpg has no other way to ask
    return warnings_of(transport.get_extra_info("peername"), transport.get_extra_info("sslcontext"))


def warnings_of(peer: Any, context: ssl.SSLContext | None) -> list[str]:
    """peer: as socket.getpeername() returns it; a Unix socket's is text. context: None without TLS."""
    if not isinstance(peer, tuple) or is_loopback(peer[0]):
        return []
    if context is None:
        return [f"Postgres at {peer[0]} is spoken to in clear text: {_MEND}"]
    if context.verify_mode is not ssl.CERT_REQUIRED or not context.check_hostname:
        return [f"Postgres at {peer[0]} does not prove that it is the one that is meant: {_MEND}"]
    return []
