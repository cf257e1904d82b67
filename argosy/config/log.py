"""The log: which one, and how it is reached, written and read."""

from typing import Literal

from pydantic import BaseModel, Field

from argosy.config.kinds import Seconds, Secret


class Log(BaseModel):
    """See argosy.config.Settings."""

    task_queue_backend: Literal["", "kafka", "postgres"] = Field(
        default="", description="The log; empty: Kafka when KAFKA_BOOTSTRAP_SERVERS is set, else Postgres."
    )
    log_records: Literal["", "unsigned", "signing", "signed"] = Field(
        default="",
        description="MACs of records: `signing` writes them and refuses wrong ones, `signed` also records without one; "
        "empty: `signing` with KG_AUTH_REQUIRED, else `unsigned`. One step at a time, each when the lag is 0.",
    )
    kafka_bootstrap_servers: str = Field(default="", description="Kafka brokers, host:port, comma-separated.")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="How to talk to the brokers."
    )
    kafka_sasl_mechanism: str = Field(default="", description="PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER.")
    kafka_sasl_username: str = Field(default="", description="SASL user.")
    kafka_sasl_password: Secret = Field(default="", description="SASL password.")
    kafka_ssl_ca_location: str = Field(default="", description="File of the CA that signed the brokers' certificates.")
    kafka_ssl_certificate_location: str = Field(default="", description="Client certificate (mTLS).")
    kafka_ssl_key_location: str = Field(default="", description="Client key (mTLS).")
    kafka_group: str = Field(
        default="agent-dispatch",
        min_length=1,
        max_length=200,
        description="Consumer group of the dispatch workers; the lane is appended.",
    )
    kafka_group_session_timeout_ms: int = Field(
        default=6_000,
        ge=1_250,
        le=600_000,
        description="A worker that the brokers do not hear of for so long is out of the group; brokers bound this.",
    )
    kafka_group_heartbeat_ms: int = Field(
        default=200, ge=50, le=60_000, description="How often the brokers hear of a worker, milliseconds."
    )
    kafka_topic_prefix: str = Field(
        default="turns", pattern=r"^[A-Za-z0-9._-]{1,180}$", description="Topic of a lane: PREFIX.LANE."
    )
    kafka_topic_visible_s: float = Field(
        default=10.0,
        ge=0.1,
        le=60.0,
        description="For how long a process that begins to use a topic asks again while brokers do not know it.",
    )
    kafka_replication: int = Field(
        default=0,
        ge=0,
        le=9,
        description="Replicas of a topic that `argosy topics` creates; 0: 3, or as many as there are brokers.",
    )
    kafka_linger_ms: float = Field(
        default=1.0,
        ge=0,
        le=1_000,
        description="How long a gateway collects appends while others are in flight, milliseconds.",
    )
    agent_turns_partitions: int = Field(
        default=64, ge=1, le=1024, description="Partitions of a lane's topic, fixed when it is made."
    )
    log_append_timeout_s: Seconds = Field(default=15.0, description="After this an append's outcome is unknown: 504.")
    log_queue_max: int = Field(
        default=20_000, ge=100, le=1_000_000, description="Appends in flight at which a gateway answers 503."
    )
    log_queue_size_bytes_max: int = Field(
        default=134_217_728,
        ge=1_048_576,
        le=2_147_482_624,
        description="Data of appends in flight at which a gateway answers 503.",
    )
    log_read_ahead_size_bytes_max: int = Field(
        default=16_777_216,
        ge=1_048_576,
        le=2_147_482_624,
        description="Kafka: data of records that a worker has fetched and not taken at which it fetches no more.",
    )
    log_batch_max: int = Field(default=400, ge=1, le=10_000, description="Records that one accept takes at the most.")
    log_batch_size_bytes_max: int = Field(
        default=8_388_608,
        ge=65_536,
        le=268_435_456,
        description="Data of records that one accept, and one fetch of the Postgres log, takes beyond its last record.",
    )
    log_poll_s: float = Field(
        default=0.25, gt=0, le=10, description="The Postgres log: an idle reader looks this often when nobody wakes it."
    )
    log_lease_ttl_s: float = Field(
        default=6.0,
        ge=1,
        le=300,
        description="The Postgres log: a member that has not been seen for this long is not eligible.",
    )
