"""Ingest: how much goes into graphs at once, and its topic."""

from pydantic import BaseModel, Field

from argosy.config.kinds import Seconds


class Ingest(BaseModel):
    """See argosy.config.Settings."""

    ingest_topic: str = Field(
        default="ingest", pattern=r"^[A-Za-z0-9._-]{1,200}$", description="Topic of what is ingested, of all lanes."
    )
    kg_tasks_partitions: int = Field(
        default=16, ge=1, le=1024, description="Partitions of INGEST_TOPIC, fixed when it is made."
    )
    kafka_ingest_group: str = Field(
        default="kg-ingest", min_length=1, max_length=200, description="Consumer group of the ingest workers."
    )
    ingest_line_size_bytes_max: int = Field(
        default=2_097_152,
        ge=1_024,
        le=8_388_608,
        description="A longer line of an upload is rejected; the lines around it are not.",
    )
    ingest_record_size_bytes: int = Field(
        default=262_144,
        ge=16_384,
        le=4_194_304,
        description="Lines of an upload are collected into records of the log of about this size.",
    )
    ingest_rejects_max: int = Field(
        default=10_000,
        ge=0,
        le=1_000_000,
        description="Rejected lines of one job that are kept with their reasons; all of them are counted.",
    )
    ingest_upload_size_bytes_max: int = Field(
        default=17_179_869_184,
        ge=1_048_576,
        le=1_099_511_627_776,
        description="Bound of one upload, inflated; 413.",
    )
    ingest_gzip_ratio_max: float = Field(
        default=200.0,
        ge=2,
        le=1_100,
        description="An upload of gzip may become so many times as large as it was sent, beyond its first 64 MiB. "
        "A line end counts as 64 bytes.",
    )
    ingest_silent_s: Seconds = Field(
        default=30.0, description="An upload of which nothing comes for so long is ended, 408; it can go on later."
    )
    ingest_upload_ttl_s: float = Field(
        default=604_800.0,
        ge=60,
        le=31_536_000,
        description="An upload that nobody has gone on with for so long is given up: its job fails.",
    )
    ingest_uploads_max: int = Field(
        default=16, ge=1, le=1_000, description="Uploads at once through one gateway process; then 503."
    )
    ingest_tenant_uploads_max: int = Field(
        default=4, ge=1, le=1_000, description="Uploads of one tenant at once through one gateway process; then 503."
    )
    ingest_uploads_time_ratio_max: float = Field(
        default=0.5,
        ge=0.05,
        le=1,
        description="Of the time of one gateway process, the part that uploads may have, all of them together: the "
        "rest is for turns.",
    )
    ingest_whole_size_bytes_max: int = Field(
        default=268_435_456,
        ge=1_048_576,
        le=68_719_476_736,
        description="Memory of the uploads that one gateway process reads as a whole (lists of JSON, texts), "
        "as estimated: then 503.",
    )
    ingest_tenant_whole_ratio_max: float = Field(
        default=0.5,
        ge=0.01,
        le=1,
        description="Of INGEST_WHOLE_SIZE_BYTES_MAX, the part that those of one tenant may have: then 503, and 413 "
        "for one that needs more alone.",
    )
    ingest_nice: int = Field(
        default=10,
        ge=0,
        le=19,
        description="By how much the process of an ingest worker yields to others on its machine (nice(2)).",
    )
    ingest_batches_max: int = Field(
        default=8, ge=1, le=64, description="Batches that one ingest worker has under way at shards."
    )
    ingest_shard_batches_max: int = Field(default=2, ge=1, le=64, description="Of these, batches at one shard.")
    ingest_held_size_bytes_max: int = Field(
        default=33_554_432,
        ge=1_048_576,
        le=8_589_934_592,
        description="Records that an ingest worker holds; it reads no further until half of this is gone.",
    )
    ingest_partition_held_size_bytes_max: int = Field(
        default=8_388_608,
        ge=262_144,
        le=1_073_741_824,
        description="Of these, records of one partition whose graphs wait for their shards; others in it wait behind.",
    )
    ingest_retry_s_max: float = Field(
        default=5.0,
        ge=0.1,
        le=60.0,
        description="Longest pause before a graph that does not answer is asked again (seconds).",
    )
