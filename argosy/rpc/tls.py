"""TLS between Argosy's processes and shards: who shows a certificate, and who asks for one.

- A shard with a certificate serves TLS alone. With a CA it takes no caller without a certificate of that CA (mTLS).
- A caller that has a CA speaks TLS, believes certificates of that CA alone, and shows its own if it has one.
- Calls are signed in any case. TLS is for what they carry to stay secret.
"""

import ssl
from pathlib import Path
from typing import NamedTuple

import grpc

from argosy.errors import SettingError


class Tls(NamedTuple):
    """A certificate with its key, and the authority that others' must be of: in PEM; empty: none."""

    cert: bytes = b""
    key: bytes = b""
    ca: bytes = b""


def read_tls(cert: str, key: str, ca: str) -> Tls:
    """Return what the files of SHARD_TLS_CERT, SHARD_TLS_KEY and SHARD_TLS_CA hold. Raises SettingError when gRPC could
    not use it: gRPC itself would not say why.
    """
    read = Tls(_read("SHARD_TLS_CERT", cert), _read("SHARD_TLS_KEY", key), _read("SHARD_TLS_CA", ca))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        if cert:
            context.load_cert_chain(cert, key, password="")  # without one it would ask at the terminal
    except (ssl.SSLError, ValueError) as error:
        raise SettingError(f"SHARD_TLS_CERT={cert}, SHARD_TLS_KEY={key}: {error}") from error
    try:
        if ca:
            context.load_verify_locations(ca)
    except ssl.SSLError as error:
        raise SettingError(f"SHARD_TLS_CA={ca}: {error}") from error
    return read


def server_credentials(tls: Tls) -> grpc.ServerCredentials | None:
    """Return what a shard serves with; None: without TLS."""
    if not tls.cert:
        return None
    return grpc.ssl_server_credentials([(tls.key, tls.cert)], tls.ca or None, require_client_auth=bool(tls.ca))


def channel_credentials(tls: Tls) -> grpc.ChannelCredentials | None:
    """Return what callers of shards connect with; None: without TLS."""
    if not tls.ca:
        return None
    return grpc.ssl_channel_credentials(tls.ca, tls.key or None, tls.cert or None)


def _read(name: str, path: str) -> bytes:
    if not path:
        return b""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise SettingError(f"{name}={path}: {error.strerror}") from error
