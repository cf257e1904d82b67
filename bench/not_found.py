"""What the time of a 404 says: a turn of another tenant beside one that there never was, through a real gateway.

The asking tenant's ids carry the tag and the times of the other's: nothing but the row itself tells the two apart.
The two kinds of question take turns, one after the other.
"""

import asyncio
import statistics
import time
import uuid
from pathlib import Path
from typing import Final

from argosy import ids
from argosy.identity.scopes import Role
from argosy.store.pool import Pool
from bench.bed import bed
from bench.http import HttpClient
from bench.load import post_batches, until_ended
from bench.owned import until_shared
from bench.report import Finding
from bench.services import Services
from tests.gateway.identity.tokens import Tokens
from tests.harness.same_tag import same_tag

_OWNER: Final = "default"
_TURNS: Final = 500
_PARTITIONS: Final = 8
_WARM: Final = 200
_OLD_S_MAX: Final = 120  # LOG_APPEND_TIMEOUT_S, and what workers take to say how far they have read
_ERRORS_MAX: Final = 3  # of the mean's standard errors: what chance gives now and then
_SHARE_MAX: Final = 0.01  # less than what anybody could tell from elsewhere


async def measure(servers: Services, folder: Path, asked: int) -> Finding:
    """Ask for so many turns of each kind."""
    async with bed(servers, folder, "not_found", _PARTITIONS, KG_AUTH_REQUIRED="0", GATEWAY_READ_RATE_LIMIT="0") as on:
        (worker,) = on.fleet.workers(1)
        await until_shared(on.database, [worker.pid], _PARTITIONS)
        await post_batches(on.client, _TURNS, _TURNS, "theirs")
        await until_ended(on.database, _TURNS)
        rows = await on.database.fetch("SELECT turn_id FROM argosy.turns")
        theirs = [row["turn_id"] for row in rows]
        pool = Pool(on.fleet.environment["STATE_DB_URI"], 1, 30.0)
        tokens = Tokens(pool, same_tag(_OWNER))
        await tokens.make_tenant(tokens.tenant)
        made = await tokens.make(Role.VIEWER)
        await pool.close()
        header = f"authorization: {made.headers['authorization']}\r\n"
        mint = ids.TurnIdMint(_OWNER, "default")
        newest_ms = max(map(ids.mint_time_ms, theirs))
        for bucket in set(map(ids.turn_bucket, theirs)):
            await _until_old(on.client, mint.mint(bucket, newest_ms), header)
        took: dict[bool, list[float]] = {True: [], False: []}
        for number in range(asked + _WARM):
            for is_theirs in (True, False) if number % 2 else (False, True):
                turn_id: uuid.UUID = theirs[number % _TURNS]
                if not is_theirs:
                    turn_id = mint.mint(ids.turn_bucket(turn_id), ids.mint_time_ms(turn_id))
                began_s = time.perf_counter()
                answer = await on.client.request("GET", f"/v1/turns/{turn_id}", headers=header)
                elapsed_s = time.perf_counter() - began_s
                if answer.status != 404:
                    raise AssertionError(f"a turn of {_OWNER!r} was answered {answer.status}")
                if number >= _WARM:
                    took[is_theirs].append(elapsed_s)
    differences = [foreign - none for foreign, none in zip(took[True], took[False], strict=True)]
    mean_s, error_s = statistics.fmean(differences), statistics.stdev(differences) / len(differences) ** 0.5
    none_s = statistics.median(took[False])
    is_met = abs(mean_s) <= max(_ERRORS_MAX * error_s, _SHARE_MAX * none_s)
    shown = f"{mean_s * 1e6:+.1f} ± {error_s * 1e6:.1f} µs of {none_s * 1e6:.0f}"
    return Finding(f"404 of another tenant's turn, beside one of none, {asked:,} pairs", shown, "noise", is_met)


async def _until_old(client: HttpClient, turn_id: uuid.UUID, header: str) -> None:
    """Return once an id that nobody has is told to be nobody's: a young one may be a turn that is on its way."""
    async with asyncio.timeout(_OLD_S_MAX):
        while (await client.request("GET", f"/v1/turns/{turn_id}", headers=header)).status != 404:  # noqa: ASYNC110
            await asyncio.sleep(0.5)
