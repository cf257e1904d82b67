"""Every setting, in one place: its name, default, unit, bounds and meaning.

Each room of the house has a file here with its settings, and `Settings` has them all; docs/settings.md is the same as
one table. What contradicts what stands below.

`load` takes a setting from the command line, else from the environment, else from `.env`, else from
`~/.config/argosy/config.json` (ARGOSY_CONFIG_DIR names another folder), else its default. In config.json names
may be written in lower case. A bad value, an unknown ARGOSY_ name or two settings that contradict each other raise
SettingError with one line that names them.

The value of a secret setting (`Secret`) may be kept in a file: NAME_FILE, in any of these places, replaces NAME. No
message and no repr shows the value of a secret.
"""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from argosy.config.caller import Caller
from argosy.config.gateway import Gateway
from argosy.config.graphs import Graphs
from argosy.config.grpc_tls import GrpcTls
from argosy.config.identity import Identity
from argosy.config.ingest import Ingest
from argosy.config.issuers import Issuers
from argosy.config.kinds import SECRET
from argosy.config.log import Log
from argosy.config.maintenance import Maintenance
from argosy.config.oidc import Oidc
from argosy.config.output import Output
from argosy.config.places import Places
from argosy.config.seal import Seal
from argosy.config.shard import Shard
from argosy.config.sources import LADDER_NAMES_WITHOUT_USE, Known, default_data_dir, given, layers
from argosy.config.support import Support
from argosy.config.topic_sources import Topics
from argosy.config.truth import Truth
from argosy.config.worker import Worker
from argosy.errors import SettingError
from argosy.identity.issuer import is_origin
from argosy.secret import SECRET_LENGTH_MIN
from argosy.secret_files import InFile, read_secret

__all__ = ["Settings", "default_data_dir", "load", "names_without_use", "secret_names"]

# A worker learns of a heartbeat's answer up to 0.25 s after it came, and gives partitions up 0.75 s before its session
# ends (logs/word.py).
_HEARD_WITHIN_MS: Final = 1_200
# What the end of a worker takes beside its waiting: leaving the group, closing connections, exit handlers of users.
_LETTING_GO_S: Final = 10.0
# Until a look at a shard has failed: it waits for 2 s (argosy/graph/line.py), and the table of shards is read before.
_LOOKED_S: Final = 3.0


class Settings(
    # The fields of the last one come first, in messages and in the table of docs/settings.md.
    Support, Output, Caller, Maintenance, Topics, Ingest, Graphs, Shard, GrpcTls, Worker, Seal, Oidc, Issuers, Identity,
    Gateway, Log, Truth, Places, BaseSettings,
):  # fmt: skip
    """The settings of a process: frozen, and made once, by `load`."""

    model_config = SettingsConfigDict(
        case_sensitive=False, extra="ignore", frozen=True, env_ignore_empty=True, hide_input_in_errors=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)

    @property
    def log_backend(self) -> Literal["kafka", "postgres"]:
        """The log that this fleet uses."""
        if self.task_queue_backend:
            return self.task_queue_backend
        return "kafka" if self.kafka_bootstrap_servers else "postgres"

    @property
    def record_macs(self) -> Literal["unsigned", "signing", "signed"]:
        """What this fleet does about MACs of records in the log."""
        if self.log_records:
            return self.log_records
        return "signing" if self.kg_auth_required else "unsigned"

    @property
    def stop_s(self) -> float:
        """How long a process of this fleet may take to end in order, once it is told to; who waits for it kills it
        then. A worker waits for its turns (alone in its lane) or for their steps (when others take over) and for
        Postgres, and lets go of the log and of its peers beside that.
        """
        worker_s = max(self.drain_timeout_s, self.handover_s) + self.drain_write_s
        return max(self.gateway_stop_s, self.shard_stop_s, worker_s) + _LETTING_GO_S

    @property
    def shard_folder(self) -> Path:
        return Path(self.shard_dir) if self.shard_dir else self.argosy_data_dir / "shard"

    @property
    def topic(self) -> str:
        return f"{self.kafka_topic_prefix}.{self.lane}"

    @model_validator(mode="after")
    def _no_contradiction(self) -> "Settings":
        if self.task_queue_backend == "kafka" and not self.kafka_bootstrap_servers:
            raise ValueError("TASK_QUEUE_BACKEND=kafka needs KAFKA_BOOTSTRAP_SERVERS")
        if self.task_queue_backend == "postgres" and self.kafka_bootstrap_servers:
            raise ValueError("TASK_QUEUE_BACKEND=postgres contradicts KAFKA_BOOTSTRAP_SERVERS: unset one of them")
        if self.ingest_topic.startswith(f"{self.kafka_topic_prefix}."):
            raise ValueError("INGEST_TOPIC must not begin with KAFKA_TOPIC_PREFIX and a point: a lane's topic does")
        if self.kafka_ingest_group.startswith(f"{self.kafka_group}."):
            raise ValueError("KAFKA_INGEST_GROUP must not begin with KAFKA_GROUP and a point: a lane's group does")
        if self.ingest_topics and self.log_backend != "kafka":
            raise ValueError("INGEST_TOPICS are of Kafka: they need KAFKA_BOOTSTRAP_SERVERS")
        for source in self.ingest_topics:
            if source.topic == self.ingest_topic or source.topic.startswith(f"{self.kafka_topic_prefix}."):
                raise ValueError(f"INGEST_TOPICS must not name a topic of Argosy's own: {source.topic}")
        for host in self.gateway_hosts:
            if not re.fullmatch(r"[A-Za-z0-9._-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?", host):
                raise ValueError(f"GATEWAY_HOSTS has names as in a URL, host or host:port: {host!r} is none")
        if self.gateway_public_url and not is_origin(self.gateway_public_url):
            raise ValueError("GATEWAY_PUBLIC_URL must be an https address (http on loopback alone) without a path")
        if self.graph_service_auth_secret and len(self.graph_service_auth_secret.strip()) < SECRET_LENGTH_MIN:
            raise ValueError(
                f"GRAPH_SERVICE_AUTH_SECRET has less than {SECRET_LENGTH_MIN} characters and can be guessed: make one "
                "with `openssl rand -hex 32`"
            )
        previous = self.graph_service_auth_secret_previous
        if previous and len(previous.strip()) < SECRET_LENGTH_MIN:
            raise ValueError(f"GRAPH_SERVICE_AUTH_SECRET_PREVIOUS has less than {SECRET_LENGTH_MIN} characters")
        if self.kg_auth_required and self.allow_tenant_header:
            raise ValueError(
                "ALLOW_TENANT_HEADER=1 contradicts KG_AUTH_REQUIRED=1: a token says which tenant a request is for"
            )
        if self.turn_rights_enforced and self.record_macs == "unsigned":
            raise ValueError(
                "TURN_RIGHTS_ENFORCED=1 contradicts LOG_RECORDS=unsigned: whose turn a record is cannot be told then"
            )
        if self.kg_brain_enforce and not self.kg_auth_required:
            raise ValueError(
                "KG_BRAIN_ENFORCE=1 needs KG_AUTH_REQUIRED=1: where nobody is asked who they are, nobody can be denied"
            )
        if self.argosy_token and self.kg_auth_token and self.argosy_token.strip() != self.kg_auth_token.strip():
            raise ValueError("ARGOSY_TOKEN contradicts KG_AUTH_TOKEN: both are what commands send; unset one of them")
        if self.argosy_admin_token and len(self.argosy_admin_token.strip()) < SECRET_LENGTH_MIN:
            raise ValueError(
                f"ARGOSY_ADMIN_TOKEN has less than {SECRET_LENGTH_MIN} characters and can be guessed: make one with "
                "`openssl rand -hex 32`"
            )
        if self.graphs_sealed and not (self.payload_sealing and (self.payload_keys or self.payload_keys_hook)):
            raise ValueError("GRAPHS_SEALED=1 needs PAYLOAD_KEYS or PAYLOAD_KEYS_HOOK, and PAYLOAD_SEALING=1")
        _ = self.trusted_issuers  # raises
        if contradiction := self.oidc_contradiction:
            raise ValueError(contradiction)
        if self.auth_oidc_client_id and not (self.auth_jwt_issuer and self.gateway_public_url):
            raise ValueError("AUTH_OIDC_CLIENT_ID needs AUTH_JWT_ISSUER, and GATEWAY_PUBLIC_URL to come back to")
        if self.token_lifetime_s > self.token_lifetime_s_max:
            raise ValueError("TOKEN_LIFETIME_S must not be above TOKEN_LIFETIME_S_MAX")
        if self.shard_view_size_bytes_max > self.shard_views_size_bytes_max:
            raise ValueError("SHARD_VIEWS_SIZE_BYTES_MAX must not be below SHARD_VIEW_SIZE_BYTES_MAX")
        if self.graph_batch_size_bytes_max > self.shard_message_size_bytes_max:
            raise ValueError("SHARD_MESSAGE_SIZE_BYTES_MAX must not be below GRAPH_BATCH_SIZE_BYTES_MAX")
        if self.shard_message_size_bytes_max > self.shard_requests_size_bytes_max:
            raise ValueError("SHARD_REQUESTS_SIZE_BYTES_MAX must not be below SHARD_MESSAGE_SIZE_BYTES_MAX")
        if bool(self.shard_tls_cert) != bool(self.shard_tls_key):
            raise ValueError("SHARD_TLS_CERT and SHARD_TLS_KEY: a certificate needs its key, and a key its certificate")
        if fault := self.tls_fault:
            raise ValueError(fault)
        if self.heartbeat_interval_s * 3 > self.heartbeat_ttl_s:
            raise ValueError(
                "HEARTBEAT_TTL_S must be at least three times HEARTBEAT_INTERVAL_S, or one late beat looks like a death"
            )
        if self.kafka_group_session_timeout_ms < self.kafka_group_heartbeat_ms + _HEARD_WITHIN_MS:
            raise ValueError(
                f"KAFKA_GROUP_SESSION_TIMEOUT_MS must be at least {_HEARD_WITHIN_MS} ms above KAFKA_GROUP_HEARTBEAT_MS,"
                " or a worker believes between two heartbeats that it is out of the group"
            )
        if self.build_wait_s < self.heartbeat_ttl_s:
            raise ValueError("BUILD_WAIT_S must not be below HEARTBEAT_TTL_S: which workers live is not known sooner")
        if self.payload_size_bytes_max > self.batch_size_bytes_max:
            raise ValueError("BATCH_SIZE_BYTES_MAX must not be below PAYLOAD_SIZE_BYTES_MAX")
        if self.payload_size_bytes_max > self.signals_unread_size_bytes_max:
            raise ValueError("SIGNALS_UNREAD_SIZE_BYTES_MAX must not be below PAYLOAD_SIZE_BYTES_MAX")
        if 0 < self.graph_session_ttl_s < 60:
            raise ValueError(
                "GRAPH_SESSION_TTL_S is 0 or at least 60, so that a graph outlives the pauses of its turns"
            )
        if self.graph_timeout_s < self.graph_watch_s + _LOOKED_S:
            raise ValueError(
                f"GRAPH_TIMEOUT_S must be at least {_LOOKED_S:g} s above GRAPH_WATCH_S, or a step whose shard says "
                "nothing fails before a look has found that the shard is away"
            )
        if self.graph_batch_size_bytes_max > self.shard_graph_queue_size_bytes_max:
            raise ValueError("SHARD_GRAPH_QUEUE_SIZE_BYTES_MAX must not be below GRAPH_BATCH_SIZE_BYTES_MAX")
        if self.ingest_held_size_bytes_max < 2 * self.ingest_partition_held_size_bytes_max:
            raise ValueError(
                "INGEST_HELD_SIZE_BYTES_MAX must not be below twice INGEST_PARTITION_HELD_SIZE_BYTES_MAX: records of"
                " graphs that wait would keep others out"
            )
        return self


def load(
    environ: Mapping[str, str] | None = None,
    *,
    used: Collection[str] | None = None,
    is_embedded: bool = False,
    **overrides: Any,
) -> Settings:
    """Return the settings of this process. overrides, from the command line, win over everything. Raises SettingError.

    used: the settings to read, by their names in lower case; the others keep their defaults. None: read all.
    is_embedded: this process is the user's own program; its `.env` is not read, nor other names of its environment than
    those that begin with ARGOSY_.
    """
    if unknown := overrides.keys() - Settings.model_fields.keys():
        raise SettingError(f"{min(unknown)} is not a setting of Argosy")
    names = Settings.model_fields.keys() if used is None else used
    values: dict[str, Any] = {}
    known = Known(Settings.model_fields, secret_names())
    for source, layer in layers(environ, Settings, is_embedded=is_embedded):
        values.update(given(source, layer, known, names))
    values.update({name: value for name, value in overrides.items() if value is not None})
    values = {name: read_secret(value) if isinstance(value, InFile) else value for name, value in values.items()}
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).upper() if first["loc"] else ""
        message = first["msg"].removeprefix("Value error, ")
        value = "" if name.lower() in secret_names() else f"={first['input']!r}"
        shown = f"{name}{value}: " if name else ""
        raise SettingError(f"{shown}{message}") from error


def secret_names() -> list[str]:
    """Return the names of the settings that are secrets, in lower case."""
    return [name for name, field in Settings.model_fields.items() if field.json_schema_extra == SECRET]


def names_without_use(environ: Mapping[str, str] | None = None) -> list[str]:
    """Return the names in LADDER_NAMES_WITHOUT_USE that any source of settings has."""
    return sorted(LADDER_NAMES_WITHOUT_USE & {name.upper() for _, layer in layers(environ, Settings) for name in layer})
