"""Payloads at rest: the master keys that seal them, and how long the keys of tenants are used."""

from pydantic import BaseModel, Field

from argosy.config.kinds import Seconds, Secret


class Seal(BaseModel):
    """See argosy.config.Settings."""

    payload_keys: Secret = Field(
        default="",
        description="Master keys, separated by commas, each 32 bytes in hex or base64: payloads are sealed at rest. "
        "The first one wraps the keys of tenants, the others unwrap what they wrapped. The same at every process.",
    )
    payload_keys_hook: str = Field(
        default="",
        description="module:object with wrap and unwrap, a KMS, in place of the first of PAYLOAD_KEYS; those unwrap "
        "what they wrapped before.",
    )
    payload_sealing: bool = Field(
        default=True,
        description="With PAYLOAD_KEYS or PAYLOAD_KEYS_HOOK; 0: what is sealed is opened, and nothing is sealed. A "
        "fleet without keys gets them with this first.",
    )
    payload_keys_timeout_s: Seconds = Field(default=10.0, description="How long a call of PAYLOAD_KEYS_HOOK may take.")
    payload_keys_cache_s: Seconds = Field(
        default=300.0, description="Keys of a tenant stay in memory for so long, and are then read anew."
    )
    payload_keys_stale_s_max: float = Field(
        default=3_600.0,
        ge=0,
        le=604_800,
        description="While Postgres or the KMS is away, keys that a process knows are good for so much longer.",
    )
    payload_keys_max: int = Field(
        default=10_000, ge=10, le=1_000_000, description="Tenants whose keys a process keeps in memory."
    )
    payload_key_age_s_max: float = Field(
        default=2_592_000.0,
        ge=60,
        le=315_360_000,
        description="A tenant gets a new key after this; the ones before go on opening what they sealed.",
    )
    graphs_sealed: bool = Field(
        default=False,
        description="New graphs are sealed unless whoever makes one says otherwise: their props are sealed at shards, "
        "and neither Cypher nor words find anything. The same at every process.",
    )
