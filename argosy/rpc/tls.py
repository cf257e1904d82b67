"""TLS between Argosy's own processes: who shows a certificate, and who asks for one.

- A process with a certificate serves TLS alone. One that requires callers' certificates takes none without one of its
  CA (mTLS).
- A caller that has a CA speaks TLS, believes certificates of that CA alone, and shows its own if it has one.
- Files that have changed are read again: by a server before the next connection, by a caller before the next call. A
  connection that is open lives on with what it was opened with. New files that cannot be used are said once, and those
  of before go on being used.
- Calls are signed in any case. TLS is for what they carry to stay secret.
"""

import ssl
import threading
from pathlib import Path
from typing import Final, NamedTuple

import grpc
import structlog

from argosy import telemetry
from argosy.address import is_loopback
from argosy.config import Settings
from argosy.errors import SettingError

log = structlog.get_logger()

BY_ADDRESS: Final = "address"  # GRPC_TLS_NAME
_TRIES: Final = 3  # to read files of which some are being replaced: that takes milliseconds
_Stamp = tuple[tuple[int, int, int, int], ...]


class Pem(NamedTuple):
    """A certificate with its key, and the authority that others' must be of: in PEM; empty: none."""

    cert: bytes = b""
    key: bytes = b""
    ca: bytes = b""


class Paths(NamedTuple):
    """Where the three are; empty: none. names: the settings that said so, up to their last word."""

    names: str
    cert: str
    key: str
    ca: str


class Tls:
    """What one process serves, and calls others with. Any thread may use it.

    name: what callers look for in a callee's certificate; empty: its address.
    """

    def __init__(self, paths: Paths, *, is_client_required: bool, name: str) -> None:
        """Read the files. Raises SettingError when gRPC could not use them: gRPC itself would not say why."""
        self.name = name
        self._paths = paths
        self._is_client_required = is_client_required
        self._lock = threading.Lock()
        self._seen, self._pem = _read(paths)
        self._calls_with: grpc.ChannelCredentials | None = None
        self._served: Pem | None = None

    @property
    def serves(self) -> bool:
        return bool(self._paths.cert)

    def server_credentials(self) -> grpc.ServerCredentials | None:
        """Return what one server serves with, now and when the files have changed; None: without TLS."""
        if not self.serves:
            return None
        self._served = self._pem
        return grpc.dynamic_ssl_server_credentials(_served(self._pem), self._next_served, self._is_client_required)

    def channel_credentials(self) -> grpc.ChannelCredentials | None:
        """Return what a caller connects with now: the same object while the files are the same. None: without TLS."""
        if not self._paths.ca:
            return None
        with self._lock:
            if self._renew() or self._calls_with is None:
                pem = self._pem
                self._calls_with = grpc.ssl_channel_credentials(pem.ca, pem.key or None, pem.cert or None)
            return self._calls_with

    def _next_served(self) -> grpc.ServerCertificateConfiguration | None:
        """Return what the next connection is served with, or None when that is what the last one was; called by gRPC,
        on threads of its own.
        """
        with self._lock:
            if self._renew():
                self._calls_with = None
            if self._served is self._pem:
                return None
            self._served = self._pem
            return _served(self._pem)

    def _renew(self) -> bool:
        """Read the files if they have changed; return whether there is something new."""
        if _stamp(self._paths) == self._seen:
            return False
        try:
            self._seen, pem = _read(self._paths)
        except SettingError as error:
            self._seen = _stamp(self._paths)
            log.warning(telemetry.TLS_FILES_REFUSED, error=str(error))
            return False
        if pem == self._pem:
            return False
        self._pem = pem
        log.info(telemetry.TLS_FILES_TAKEN, cert=self._paths.cert, ca=self._paths.ca)
        return True


def worker_tls(settings: Settings) -> Tls | None:
    """Return what workers serve and are called with; None: no TLS. Raises SettingError."""
    paths = Paths("GRPC_TLS", settings.grpc_tls_cert, settings.grpc_tls_key, settings.grpc_tls_ca)
    return _tls(
        paths,
        is_client_required=settings.grpc_tls_require_client,
        name="" if settings.grpc_tls_name == BY_ADDRESS else settings.grpc_tls_name,
    )


def shard_tls(settings: Settings) -> Tls | None:
    """Return what shards serve and are called with: SHARD_TLS_* if one of them is set, else GRPC_TLS_*. None: no TLS.
    Raises SettingError.
    """
    paths = Paths("SHARD_TLS", settings.shard_tls_cert, settings.shard_tls_key, settings.shard_tls_ca)
    is_client_required = True
    if not any(paths[1:]):
        paths = Paths("GRPC_TLS", settings.grpc_tls_cert, settings.grpc_tls_key, settings.grpc_tls_ca)
        is_client_required = settings.grpc_tls_require_client
    return _tls(paths, is_client_required=is_client_required, name=settings.shard_tls_name)


def warn_of_clear_text(tls: Tls | None, host: str, address: str) -> None:
    """Say it, when a server without TLS is one that other machines reach."""
    if not (tls and tls.serves) and not is_loopback(host):
        log.warning(telemetry.GRPC_CLEAR_TEXT, address=address)


def _tls(paths: Paths, *, is_client_required: bool, name: str) -> Tls | None:
    if not any(paths[1:]):
        return None
    return Tls(paths, is_client_required=is_client_required and bool(paths.ca), name=name)


def _served(pem: Pem) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pem.key, pem.cert)], pem.ca or None)


def _read(paths: Paths) -> tuple[_Stamp, Pem]:
    """Return what the files hold, and by what a change of them is seen. Files that are being replaced are read again:
    a certificate and the key of the next one do not fit.
    """
    for tries_left in reversed(range(_TRIES)):
        seen = _stamp(paths)
        try:
            pem = Pem(*(_content(paths.names, *each) for each in zip(("CERT", "KEY", "CA"), paths[1:], strict=True)))
            _check(paths)
        except SettingError:
            if not tries_left or _stamp(paths) == seen:
                raise
            continue
        if _stamp(paths) == seen:
            return seen, pem
    raise SettingError(f"{paths.names}_CERT, {paths.names}_KEY, {paths.names}_CA: the files change all the time")


def _check(paths: Paths) -> None:
    names, cert, key, ca = paths
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        if cert:
            context.load_cert_chain(cert, key, password="")  # without one it would ask at the terminal
    except (OSError, ValueError) as error:
        raise SettingError(f"{names}_CERT={cert}, {names}_KEY={key}: {error}") from error
    try:
        if ca:
            context.load_verify_locations(ca)
    except OSError as error:
        raise SettingError(f"{names}_CA={ca}: {error}") from error


def _stamp(paths: Paths) -> _Stamp:
    return tuple(_stamp_of(path) for path in paths[1:] if path)


def _stamp_of(path: str) -> tuple[int, int, int, int]:
    try:
        found = Path(path).stat()
    except OSError:
        return (0, 0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _content(names: str, word: str, path: str) -> bytes:
    if not path:
        return b""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise SettingError(f"{names}_{word}={path}: {error.strerror}") from error
