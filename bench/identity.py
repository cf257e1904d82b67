"""What it costs to know who asks: each request's credential, the memory of tokens, and MACs of records; and what the
time of a 404 says.

Kinds of credentials take turns within one process, round by round, so that what else the machine does falls on all of
them alike; the fleets with and without MACs take turns on the same servers.
"""

import asyncio
import gc
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import asyncpg
import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from argosy import config
from argosy.clock import SystemClock
from argosy.gateway.access_tokens import AccessTokens, Trusted
from argosy.gateway.audited import Audited
from argosy.gateway.authenticate import Authenticator
from argosy.gateway.identity_cache import IdentityCache
from argosy.gateway.issuer_keys import IssuerKeys
from argosy.gateway.key_copy import KeyCopy
from argosy.gateway.key_fetch import Fetched
from argosy.identity.api_token import TokenKind, digest, mint
from argosy.identity.issuer import Issuer
from argosy.identity.signing_keys import keys_in
from argosy.record_mac import LogRecords
from argosy.store import migrate
from argosy.store.identity import Identities
from argosy.store.pool import Pool, open_pool
from bench import not_found
from bench.bed import bed, new_database
from bench.cpu import rss_mb
from bench.load import count_turns, post_batches, until_ended
from bench.owned import until_shared
from bench.report import Finding
from bench.services import Services

_TOKENS: Final = 100_000
_CALLS: Final = 2_000
_PARTITIONS: Final = 8
_HEADERS: Final = [
    (b"host", b"127.0.0.1:9000"), (b"content-type", b"application/json"), (b"content-length", b"240"),
    (b"idempotency-key", b"0123456789abcdef0123456789abcdef"), (b"user-agent", b"argosy"),
]  # fmt: skip
_FILL: Final = """
INSERT INTO argosy.tokens (token_id, hash, tenant, name, role, scopes, hint, created_at, created_by, expires_at,
  change_no)
SELECT gen_random_uuid(), sha256(n::text::bytea), 'default', 'token ' || n, 'user', '{}', 'abcd', now(), 'bench',
       now() + interval '90 days', n FROM generate_series(1, $1::bigint) AS n
"""
_ONE: Final = """
INSERT INTO argosy.tokens (token_id, hash, tenant, name, role, scopes, hint, created_at, created_by, expires_at,
  change_no)
VALUES (gen_random_uuid(), $1, 'default', 'mine', 'user', '{}', 'abcd', now(), 'bench', now() + interval '90 days', $2)
"""
_MINE: Final = mint(TokenKind.TENANT)


class _OwnIssuer:
    """Answers with the key that signed the bench's token."""

    def __init__(self) -> None:
        self._private = ec.generate_private_key(ec.SECP256R1())
        public = jwt.get_algorithm_by_name("ES256").to_jwk(self._private.public_key(), as_dict=True)
        self.raw = json.dumps({"keys": [{**public, "kid": "bench"}]}).encode()

    def token(self, issuer: Issuer) -> str:
        now_s = int(time.time())
        claims = {
            "iss": issuer.issuer, "aud": issuer.audience, "sub": "agent", "tenant": "default", "scope": "turns:write",
            "iat": now_s, "exp": now_s + 3_600,
        }  # fmt: skip
        return jwt.encode(claims, self._private, "ES256", headers={"kid": "bench", "typ": "at+jwt"})

    async def fetch(self, _etag: str) -> Fetched:
        return Fetched(keys_in(self.raw), self.raw, "", None)

    async def close(self) -> None:
        pass


def _scope(credential: str) -> dict[str, Any]:
    fields = [(b"authorization", b"Bearer " + credential.encode())] if credential else []
    return {"type": "http", "path": "/v1/turns:batch", "client": ("127.0.0.1", 1), "headers": _HEADERS + fields}


async def _known(pool: Pool, settings: config.Settings, folder: Path, rounds: int) -> list[Finding]:
    """Measure the memory of many tokens, and the time in which a credential that is known becomes a principal."""
    clock, issuer, own = SystemClock(), Issuer("https://bench.example", "argosy"), _OwnIssuer()
    gc.collect()
    before_mb = rss_mb(os.getpid())
    cache = IdentityCache(settings, Identities(pool, _TOKENS), 60.0, clock)
    await cache.refresh()
    gc.collect()
    taken_mb = rss_mb(os.getpid()) - before_mb
    copy = KeyCopy(folder, issuer.issuer, clock)
    tokens = AccessTokens([Trusted(issuer, IssuerKeys(issuer.issuer, own, copy, clock, stale_s_max=1e9))], clock)
    await tokens.open(is_needed=True)
    try:
        authenticator = Authenticator(settings, cache, tokens, Audited(pool, clock), clock, is_private=False)
        scopes = {"nobody": _scope(""), "token": _scope(_MINE), "access token": _scope(own.token(issuer))}
        await authenticator.look_up(scopes["access token"])
        took_us = _took_us({name: _asking(authenticator, scope) for name, scope in scopes.items()}, rounds)
    finally:
        await tokens.close()
    token, access = (statistics.median(took_us[name]) for name in ("token", "access token"))
    nobody = statistics.median(took_us["nobody"])
    return [
        Finding("a known token, beside no credential", f"{token - nobody:+.1f} µs", "≤ 5 µs", token - nobody <= 5),
        Finding("a remembered access token", f"{access - nobody:+.1f} µs", "≤ 15 µs", access - nobody <= 15),
        Finding(f"memory of {_TOKENS:,} tokens", f"{taken_mb:.0f} MB", "< 40 MB", taken_mb < 40),
    ]


def _asking(authenticator: Authenticator, scope: dict[str, Any]) -> Callable[[], object]:
    return lambda: authenticator.known(scope)


def _took_us(kinds: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    took: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, ask in kinds.items():
            began_s = time.perf_counter()
            for _ in range(_CALLS):
                ask()
            took[name].append((time.perf_counter() - began_s) / _CALLS * 1e6)
    return took


async def _batches(servers: Services, folder: Path, turns: int, rounds: int) -> Finding:
    """Measure batches of turns, end to end, with MACs beside without."""
    modes = (LogRecords.UNSIGNED, LogRecords.SIGNED)
    rates: dict[str, list[float]] = {mode: [] for mode in modes}
    async with (
        bed(servers, folder, "unsigned", _PARTITIONS, LOG_RECORDS="unsigned") as bare,
        bed(servers, folder, "signed", _PARTITIONS, LOG_RECORDS="signed") as signed,
    ):
        fleets = dict(zip(modes, (bare, signed), strict=True))
        for on in fleets.values():
            (worker,) = on.fleet.workers(1)
            await until_shared(on.database, [worker.pid], _PARTITIONS)
        for number in range(-1, 2 * rounds):  # the first warms up
            for mode in modes if number % 2 else reversed(modes):
                on = fleets[mode]
                total = await count_turns(on.database) + turns
                began_s = asyncio.get_running_loop().time()
                await post_batches(on.client, turns, 500, f"run{number}")
                await until_ended(on.database, total)
                if number >= 0:
                    rates[mode].append(turns / (asyncio.get_running_loop().time() - began_s))
    ratio = statistics.median(
        with_macs / without for without, with_macs in zip(*(rates[mode] for mode in modes), strict=True)
    )
    shown = ", ".join(f"{mode} {statistics.median(rates[mode]):.0f}/s" for mode in modes)
    return Finding(
        f"batches with MACs, of those without, {2 * rounds} pairs", f"{ratio:.2f} ({shown})", "≥ 0.92", ratio >= 0.92
    )


async def measure(servers: Services, folder: Path, is_quick: bool) -> list[Finding]:
    dsn = await new_database(servers.postgres.dsn, "bench_identity")
    await migrate.migrate(dsn)
    connection = await asyncpg.connect(dsn)
    await connection.execute(_FILL, _TOKENS)
    await connection.execute(_ONE, digest(_MINE), _TOKENS + 1)
    await connection.execute("UPDATE argosy.identity_changes SET no = $1", _TOKENS + 1)
    await connection.close()
    settings = config.load({}, state_db_uri=dsn, argosy_data_dir=folder / "identity")
    async with open_pool(settings, dsn) as pool:
        found = await _known(pool, settings, folder / "identity", 20 if is_quick else 200)
    batches = await _batches(servers, folder, 5_000 if is_quick else 15_000, 2 if is_quick else 6)
    return [*found, batches, await not_found.measure(servers, folder, 500 if is_quick else 5_000)]
