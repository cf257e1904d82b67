"""A command that asks a gateway: who it says it is."""

from pydantic import BaseModel, Field

from argosy.config.kinds import Secret


class Caller(BaseModel):
    """See argosy.config.Settings."""

    argosy_token: Secret = Field(
        default="",
        description="The token that commands send to gateways; without one they send what `argosy login` stored.",
    )
    kg_auth_token: Secret = Field(
        default="", description="The same as ARGOSY_TOKEN: a token, or an access token of an issuer (JWT)."
    )
    argosy_token_allow_http: bool = Field(
        default=False, description="Commands send a token over http beyond this machine, too: in clear text."
    )
