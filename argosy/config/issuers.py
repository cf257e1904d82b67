"""Which OpenID providers are trusted, and what is asked of their access tokens."""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from argosy.config.kinds import StringList, from_json
from argosy.identity.issuer import ALGORITHMS, ALGORITHMS_BY_DEFAULT, ANY_TENANT, Issuer, is_safe
from argosy.identity.scopes import Role
from argosy.names import is_tenant

_ISSUERS_MAX: Final = 16
_SKEW_S_MAX: Final = 120
_TENANTS_MAX: Final = 1_000  # names and patterns of one issuer
_EXAMPLE: Final = '[{"issuer": "https://login.example", "audience": "argosy"}]'


def _map(value: Any) -> Any:
    """Return the map of roles of a JSON object; what is none stays what it is."""
    return from_json(value, {}, '{"staff": "user"}')


RoleMap = Annotated[dict[str, Role], BeforeValidator(_map)]


class TrustedIssuer(BaseModel):
    """One issuer. The names are those of the settings AUTH_JWT_…, without that and in lower case."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: str = Field(min_length=1, max_length=500)
    audience: str = Field(min_length=1, max_length=500)
    jwks_uri: str = Field(default="", max_length=2_000)
    algorithms: StringList = ALGORITHMS_BY_DEFAULT
    tenant_claim: str = Field(default="tenant", min_length=1, max_length=200)
    roles_claim: str = Field(default="roles", min_length=1, max_length=200)
    role_map: RoleMap = {}
    typ: Literal["", "at+jwt"] = ""
    clients: StringList = ()
    skew_s: float = Field(default=30.0, ge=0, le=_SKEW_S_MAX)
    lifetime_s_max: float = Field(default=86_400.0, ge=60, le=31_622_400)
    admin: bool = False
    tenants: StringList = Field(default=(), max_length=_TENANTS_MAX)

    @field_validator("issuer", "jwks_uri")
    @classmethod
    def _is_safe(cls, url: str) -> str:
        if url and not is_safe(url):
            raise ValueError("must be an https address (http on loopback alone)")
        return url

    @field_validator("algorithms")
    @classmethod
    def _are_public(cls, algorithms: tuple[str, ...]) -> tuple[str, ...]:
        if not algorithms or (unknown := set(algorithms) - set(ALGORITHMS)):
            shown = f": {', '.join(sorted(unknown))}" if algorithms else ""
            raise ValueError(f"must be algorithms with public keys, of {', '.join(ALGORITHMS)}{shown}")
        return algorithms

    @field_validator("tenants")
    @classmethod
    def _are_tenants(cls, tenants: tuple[str, ...]) -> tuple[str, ...]:
        for each in tenants:
            if each != ANY_TENANT and not is_tenant(each.removesuffix(ANY_TENANT)):
                raise ValueError(f"must be names of tenants, or how names begin and `*`: {each!r} is neither")
        return tenants

    @property
    def asks(self) -> Issuer:
        """What makes an access token of this issuer good."""
        return Issuer(
            issuer=self.issuer,
            audience=self.audience,
            algorithms=frozenset(self.algorithms),
            tenant_claim=self.tenant_claim,
            roles_claim=self.roles_claim,
            role_map=self.role_map,
            typ=self.typ,
            clients=frozenset(self.clients),
            skew_s=self.skew_s,
            lifetime_s_max=self.lifetime_s_max,
            may_administer=self.admin,
            tenants=self.tenants,
        )


def _issuers(value: Any) -> Any:
    """Return the issuers of a JSON list as a tuple; what is no list stays what it is."""
    value = from_json(value, (), _EXAMPLE)
    if not isinstance(value, list):
        return value
    if len(value) > _ISSUERS_MAX:
        raise ValueError(f"at most {_ISSUERS_MAX} issuers are trusted, not {len(value)}")
    return tuple(
        each if isinstance(each, TrustedIssuer) else _issuer(number, each) for number, each in enumerate(value)
    )


def _issuer(number: int, block: Any) -> TrustedIssuer:
    try:
        return TrustedIssuer.model_validate(block)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, (number, *first["loc"])))
        raise ValueError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from None


class Issuers(BaseModel):
    """See argosy.config.Settings."""

    auth_jwt_issuer: str = Field(
        default="", max_length=500, description="`iss` of the access tokens that are taken, to the letter; empty: none."
    )
    auth_jwt_audience: str = Field(default="", max_length=500, description="`aud` that an access token must have.")
    auth_jwt_jwks_uri: str = Field(
        default="",
        max_length=2_000,
        description="Where the issuer's keys are; empty: where its `/.well-known/openid-configuration` says.",
    )
    auth_jwt_algorithms: StringList = Field(
        default=ALGORITHMS_BY_DEFAULT, description="Algorithms of signatures that are taken, with public keys alone."
    )
    auth_jwt_tenant_claim: str = Field(
        default="tenant", min_length=1, max_length=200, description="The claim that names the tenant, or several."
    )
    auth_jwt_roles_claim: str = Field(
        default="roles", min_length=1, max_length=200, description="The claim that names the issuer's roles."
    )
    auth_jwt_role_map: RoleMap = Field(
        default={}, description='Roles of the issuer and what they are here, as JSON: `{"staff": "user"}`.'
    )
    auth_jwt_typ: Literal["", "at+jwt"] = Field(
        default="", description="`at+jwt`: take no token that does not say that it is an access token."
    )
    auth_jwt_clients: StringList = Field(
        default=(), description="Clients of whom a token for several audiences is taken; empty: of all."
    )
    auth_jwt_skew_s: float = Field(
        default=30.0, ge=0, le=_SKEW_S_MAX, description="How far an issuer's clock may be from this one."
    )
    auth_jwt_lifetime_s_max: float = Field(
        default=86_400.0, ge=60, le=31_622_400, description="A token that lives longer is refused."
    )
    auth_jwt_admin: bool = Field(
        default=False,
        description="Let the issuer's tokens have scopes beyond one tenant: of operators and administrators.",
    )
    auth_jwt_tenants: StringList = Field(
        default=(),
        description="Tenants that the issuer's tokens may be for, by name or by how names begin (`acme-*`); empty, or "
        "`*`: any. Where several issuers are trusted, hold each to its own.",
    )
    auth_jwt_issuers: Annotated[tuple[TrustedIssuer, ...], BeforeValidator(_issuers)] = Field(
        default=(), description=f"Further issuers, as JSON: `{_EXAMPLE}`, with the names above."
    )
    auth_jwks_stale_s_max: float = Field(
        default=86_400.0, ge=60, le=2_678_400, description="How old an issuer's keys may be; then 503."
    )

    @property
    def trusted_issuers(self) -> tuple[TrustedIssuer, ...]:
        """All issuers whose tokens are taken. Raises ValueError: half of a block is missing, one stands twice."""
        if bool(self.auth_jwt_issuer) != bool(self.auth_jwt_audience):
            raise ValueError("AUTH_JWT_ISSUER and AUTH_JWT_AUDIENCE: an issuer needs an audience, and that an issuer")
        if self.auth_jwt_jwks_uri and not self.auth_jwt_issuer:
            raise ValueError("AUTH_JWT_JWKS_URI needs AUTH_JWT_ISSUER")
        own = [self._own()] if self.auth_jwt_issuer else []
        found = (*own, *self.auth_jwt_issuers)
        if len({each.issuer for each in found}) != len(found):
            raise ValueError("AUTH_JWT_ISSUERS: an issuer stands twice")
        for each in found:
            if each.admin and each.tenants:
                raise ValueError(
                    f"AUTH_JWT_TENANTS contradicts AUTH_JWT_ADMIN=1: administrators of {each.issuer} act for any"
                )
        return found

    def _own(self) -> TrustedIssuer:
        names = TrustedIssuer.model_fields
        try:
            return TrustedIssuer(**{name: getattr(self, f"auth_jwt_{name}") for name in names})
        except ValidationError as error:
            first = error.errors()[0]
            name = f"AUTH_JWT_{first['loc'][0]}".upper()
            raise ValueError(f"{name}: {first['msg'].removeprefix('Value error, ')}") from None
