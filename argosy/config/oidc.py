"""The sign-in of people at an OpenID provider, for the console."""

from pydantic import BaseModel, Field

from argosy.config.kinds import Secret


class Oidc(BaseModel):
    """See argosy.config.Settings."""

    auth_oidc_client_id: str = Field(
        default="",
        max_length=500,
        description="What AUTH_JWT_ISSUER calls the console; empty: people sign in with tokens alone. Its redirect "
        "address is GATEWAY_PUBLIC_URL and `/v1/login/oidc/callback`.",
    )
    auth_oidc_client_secret: Secret = Field(
        default="", description="The secret of that client; empty: it has none, and proves itself by PKCE alone."
    )
    auth_oidc_scopes: str = Field(
        default="openid",
        max_length=2_000,
        pattern=r"^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$",
        description="Scopes that the console asks for, with blanks between them; `openid` is one.",
    )
    auth_oidc_resource: str = Field(
        default="",
        max_length=2_000,
        description="The `resource` (RFC 8707) that the console asks an access token for, where the issuer needs one.",
    )

    @property
    def oidc_contradiction(self) -> str:
        """What of these settings contradicts another, or nothing."""
        if self.auth_oidc_client_id and "openid" not in self.auth_oidc_scopes.split():
            return "AUTH_OIDC_SCOPES must have `openid`: without it the issuer says not who signed in"
        return ""
