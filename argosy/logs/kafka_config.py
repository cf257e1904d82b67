"""The configuration that all Kafka clients of Argosy share: brokers, login, and where librdkafka's messages go."""

from collections.abc import Iterable
from typing import Any, Final

import structlog
from confluent_kafka import KafkaError, KafkaException

from argosy import telemetry
from argosy.clock import Clock
from argosy.config import Settings
from argosy.errors import LogUnavailableError
from argosy.process import fork

log = structlog.get_logger()

# (setting, librdkafka's name for it)
_PASSED_THROUGH: Final = (
    ("kafka_sasl_mechanism", "sasl.mechanism"),
    ("kafka_sasl_username", "sasl.username"),
    ("kafka_sasl_password", "sasl.password"),
    ("kafka_ssl_ca_location", "ssl.ca.location"),
    ("kafka_ssl_certificate_location", "ssl.certificate.location"),
    ("kafka_ssl_key_location", "ssl.key.location"),
)


def client_config(settings: Settings) -> dict[str, Any]:
    """Return the configuration that producers, consumers and admin clients share."""
    own_brokers(settings.kafka_bootstrap_servers.split(","))
    config: dict[str, Any] = {
        "bootstrap.servers": settings.kafka_bootstrap_servers,
        "security.protocol": settings.kafka_security_protocol,
        "client.id": "argosy",
        "socket.keepalive.enable": True,
        "reconnect.backoff.ms": 100,
        "reconnect.backoff.max.ms": 1_000,
        "allow.auto.create.topics": False,
    }
    for setting, name in _PASSED_THROUGH:
        if value := getattr(settings, setting):
            config[name] = value
    return config


def own_brokers(addresses: Iterable[str]) -> None:
    """Register the addresses of brokers, so that the children of a fork do not keep connections to them.

    An address is host:port, as users and librdkafka write it.
    """
    for address in addresses:
        fork.own_peer_address(address.strip().rpartition("://")[2])


def admin_config(settings: Settings) -> dict[str, Any]:
    """Return the configuration of an admin client, with librdkafka's own log messages off.

    Nothing polls an admin client, so its messages would pile up; what matters comes back as the error of a call.
    """
    config = client_config(settings) | {"log_level": 0}
    del config["allow.auto.create.topics"]
    return config


class Refusals:
    """What brokers, or the check of their certificates, last said against a connection of one client; "": nothing.

    librdkafka tells it beside the call that then fails, as one that was not answered in time.
    """

    def __init__(self) -> None:
        self.said = ""

    def note(self, error: KafkaError) -> None:
        """Take an error from librdkafka (`error_cb`)."""
        if error.code() in (KafkaError._AUTHENTICATION, KafkaError._SSL):
            self.said = error.str()

    def unavailable(self, admin: Any, error: BaseException) -> LogUnavailableError:
        """Return the LogUnavailableError for a failed call of an admin client, whose `error_cb` this is."""
        admin.poll(0)  # its errors come to us in here
        if self.said:
            return LogUnavailableError(f"Kafka and this process do not agree on a connection: {self.said}")
        return unavailable(error)


class Messages:
    """Converts librdkafka's messages into log events, in place of a logging.Logger, and limits their number.

    At most one event of each kind in INTERVAL_S; the next one says how many were left out.
    """

    INTERVAL_S: Final = 10.0
    _KINDS_MAX: Final = 100

    def __init__(self, clock: Clock, client: str) -> None:
        self._clock = clock
        self._client = client
        self._kinds: dict[str, tuple[float, int]] = {}

    def log(self, level: int, template: str, *arguments: Any) -> None:
        """Take a message from librdkafka's Python binding: ("%s [%s] %s", facility, client, text)."""
        facility = str(arguments[0]) if arguments else template
        self.say(facility, str(arguments[-1]) if arguments else template)

    def say(self, kind: str, text: str) -> None:
        """Log a message, of Argosy's own or of librdkafka's.

        Left out when one of its kind was logged less than INTERVAL_S ago.
        """
        now_s = self._clock.monotonic_s()
        if kind not in self._kinds and len(self._kinds) >= self._KINDS_MAX:
            kind = "other"
        last_s, left_out = self._kinds.get(kind, (now_s - self.INTERVAL_S, 0))
        if now_s - last_s < self.INTERVAL_S:
            self._kinds[kind] = (last_s, left_out + 1)
            return
        self._kinds[kind] = (now_s, 0)
        log.warning(telemetry.LOG_MESSAGE, client=self._client, kind=kind, text=text, left_out=left_out)


def unavailable(error: BaseException) -> LogUnavailableError:
    """Return the LogUnavailableError for a failed call to the brokers."""
    return LogUnavailableError(f"Kafka cannot be reached: {reason_of(error)}")


def reason_of(error: BaseException) -> str:
    """Return in one line what Kafka or librdkafka said."""
    if isinstance(error, KafkaException) and error.args and isinstance(error.args[0], KafkaError):
        return f"{error.args[0].name()}: {error.args[0].str()}"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def code_of(error: BaseException) -> int | None:
    """Return the KafkaError code of an exception, or None when it has none."""
    if isinstance(error, KafkaException) and error.args and isinstance(error.args[0], KafkaError):
        code: int = error.args[0].code()
        return code
    return None
