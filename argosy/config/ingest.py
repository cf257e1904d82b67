"""Ingest: how much goes into graphs at once, and its topic."""

from pydantic import BaseModel, Field


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
