"""The parts of one gateway process that know who asks. state.py holds it; app.py opens and closes it."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from argosy import telemetry
from argosy.clock import Clock
from argosy.config import Settings
from argosy.config.issuers import TrustedIssuer
from argosy.errors import SettingError, StoreUnavailableError
from argosy.gateway.access_tokens import AccessTokens, Trusted
from argosy.gateway.audited import Audited
from argosy.gateway.authenticate import Authenticator
from argosy.gateway.identity_cache import IdentityCache
from argosy.gateway.issuer_keys import IssuerKeys
from argosy.gateway.key_copy import KeyCopy
from argosy.gateway.key_fetch import IssuerAwayError, KeyFetch
from argosy.gateway.oidc_login import OidcLogin
from argosy.gateway.open_requests import OpenRequests
from argosy.rounds import Rounds
from argosy.store.identity import Identities
from argosy.store.pool import Pool

log = telemetry.logger()

_WRITE_S: Final = 60.0
_LAST_WRITE_S: Final = 2.0  # a gateway that ends waits so long for Postgres


class Identity:
    """Tokens and tenants: where they are stored, what is known of them here, and what is written about them."""

    def __init__(
        self,
        settings: Settings,
        pool: Pool,
        read_timeout_s: float,
        clock: Clock,
        login_keys: Sequence[bytes],
        *,
        is_private: bool,
    ) -> None:
        """login_keys: see OidcLogin. is_private: see Authenticator. oidc: None: people sign in with tokens alone."""
        self.stored = Identities(pool, settings.tenant_tokens_max)
        self.cache = IdentityCache(settings, self.stored, read_timeout_s, clock)
        self.audited = Audited(pool, clock)
        self._issuers = () if is_private else settings.trusted_issuers
        self.access_tokens = AccessTokens([] if is_private else trusted(settings, clock), clock)
        self.authenticator = Authenticator(
            settings, self.cache, self.access_tokens, self.audited, clock, is_private=is_private
        )
        has_oidc = bool(settings.auth_oidc_client_id) and not is_private
        self.oidc = OidcLogin(settings, self.access_tokens, self.audited, login_keys, clock) if has_oidc else None
        self.open_requests = OpenRequests(self.cache, clock)
        self._clock = clock
        self._rounds = Rounds("identity-writes", clock)
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Read tokens and tenants, if Postgres answers, and keep up with them and with the keys of issuers from now on.
        Raises SettingError when tokens are required, and an issuer has neither keys nor a copy of them.
        """
        warn_of_any_tenant(self._issuers)
        try:
            await self.access_tokens.open(is_needed=self.authenticator.is_required)
        except IssuerAwayError as error:
            raise SettingError(f"{error} (AUTH_JWT_ISSUER, AUTH_JWT_JWKS_URI)") from error
        await self.cache.open()
        self.open_requests.open()
        self._task = asyncio.get_running_loop().create_task(self._write_forever())

    async def close(self) -> None:
        """Write what is not written yet, if Postgres answers."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            with suppress(StoreUnavailableError, TimeoutError):
                async with asyncio.timeout(_LAST_WRITE_S):
                    await self._write()
        await self.open_requests.close()
        if self.oidc is not None:
            await self.oidc.close()
        await self.access_tokens.close()
        await self.cache.close()

    async def _write(self) -> None:
        await self.audited.write()
        await self.cache.write_uses()
        await self.cache.logins.write_uses()

    async def _write_forever(self) -> None:
        while True:
            await self._clock.sleep(_WRITE_S)
            async with self._rounds:
                await self._write()
            telemetry.TOKENS_EXPIRING.labels(within="7d").set(self.cache.expiring())


def warn_of_any_tenant(issuers: Sequence[TrustedIssuer]) -> None:
    """Say which of several issuers may name any tenant: each of them could be all the others. Those whose tokens may
    administer may do so in any case.
    """
    for each in issuers if len(issuers) > 1 else ():
        if not (each.tenants or each.admin):
            log.warning(
                telemetry.ISSUER_OF_ANY_TENANT,
                issuer=each.issuer,
                consequence="its tokens are for whichever tenant they name, also for those of other issuers: say with "
                'AUTH_JWT_TENANTS, or "tenants" in AUTH_JWT_ISSUERS, for which they may be ("*": any)',
            )


def trusted(settings: Settings, clock: Clock) -> list[Trusted]:
    """Return the issuers that the settings name, each with its keys, which nobody has fetched yet."""
    return [
        Trusted(
            each.asks,
            IssuerKeys(
                each.issuer,
                KeyFetch(each.issuer, each.jwks_uri),
                KeyCopy(settings.argosy_data_dir, each.issuer, clock),
                clock,
                stale_s_max=settings.auth_jwks_stale_s_max,
            ),
        )
        for each in settings.trusted_issuers
    ]
