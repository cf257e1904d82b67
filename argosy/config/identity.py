"""Identity: whether callers must say who they are, their tokens, and what is written down about them."""

from pydantic import BaseModel, Field

from argosy.config.kinds import Secret


class Identity(BaseModel):
    """See argosy.config.Settings."""

    kg_auth_required: bool = Field(
        default=False,
        description="Requests need a token; without this, one that has none is taken as a local user's, and one that "
        "has a bad token is refused all the same.",
    )
    kg_brain_enforce: bool = Field(
        default=False,
        description="Graphs and nodes have access control lists, and shards deny what these do not allow. Set it for "
        "shards first, then for gateways and workers; it needs KG_AUTH_REQUIRED at all of them.",
    )
    kg_acl_default_allow: bool = Field(
        default=False,
        description="Where lists are enforced, a graph without one is open to all of its tenant for reading and "
        "writing, instead of to administrators alone.",
    )
    argosy_admin_token: Secret = Field(
        default="",
        description="A token with the rights of an administrator that stands in no table: at least 32 characters.",
    )
    identity_stale_s_max: float = Field(
        default=300.0,
        ge=0,
        le=86_400,
        description="While Postgres is away, tokens that a gateway knows are believed for so long; then 503.",
    )
    identity_tokens_max: int = Field(
        default=200_000,
        ge=100,
        le=10_000_000,
        description="Tokens that a gateway process keeps in memory; it looks further ones up in Postgres.",
    )
    token_lifetime_s: float = Field(
        default=7_776_000.0, ge=60, le=315_360_000, description="A token that is made lives for so long, by default."
    )
    token_lifetime_s_max: float = Field(
        default=31_536_000.0, ge=60, le=315_360_000, description="Longest life of a token."
    )
    tenant_tokens_max: int = Field(
        default=1_000,
        ge=1,
        le=100_000,
        description="Tokens of one tenant that have not ended; then 409, as when ten times as many are kept in all.",
    )
    turn_principal_size_bytes_max: int = Field(
        default=16_384,
        ge=1_024,
        le=65_536,
        description="What is recorded with a turn of who posted it, at most; a token whose limits to sessions and "
        "workflows are longer posts no turns.",
    )
    turn_rights_enforced: bool = Field(
        default=False,
        description="At a worker: a turn may do with graphs and jobs what the token that posted it may, and no more. "
        "Needs LOG_RECORDS=signing, and holds for all turns from LOG_RECORDS=signed on.",
    )
    login_lifetime_s: float = Field(
        default=43_200.0,
        ge=60,
        le=2_592_000,
        description="A login of the console ends after this, and with the token with which it was made.",
    )
    login_idle_s: float = Field(
        default=3_600.0,
        ge=60,
        le=2_592_000,
        description="A login of the console that nobody uses ends after this, or up to six minutes sooner.",
    )
    logins_max: int = Field(
        default=20, ge=1, le=10_000, description="Logins of one subject at once; one more ends the oldest."
    )
    auth_revocations_max: int = Field(
        default=10_000,
        ge=1,
        le=100_000,
        description="Subjects of issuers whose access tokens are revoked at a time, each for as long as one may live.",
    )
    audit_retention_s: float = Field(
        default=34_560_000.0,
        ge=86_400,
        le=3_153_600_000,
        description="Rows of the audit are deleted after this, and tokens so long after they have ended.",
    )
