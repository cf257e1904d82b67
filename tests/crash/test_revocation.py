"""A token is revoked at one gateway: another process refuses it in time, ends what it has open, and did nothing wrong
before.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Final

import httpx2
import pytest

from argosy.identity.scopes import Role
from argosy.store.pool import Pool
from tests.checker.sink import Sink
from tests.gateway.identity.tokens import Made, Tokens
from tests.harness.fleet import Fleet
from tests.harness.processes import free_port

CACHE_S: Final = 2.0  # as shipped
KNOWN_WITHIN_S: Final = 2 * CACHE_S
ENDED_WITHIN_S: Final = 1.0  # after that

pytestmark = pytest.mark.slow


@pytest.fixture
def settings() -> dict[str, str]:
    return {"KG_AUTH_REQUIRED": "1", "GATEWAY_CACHE_S": f"{CACHE_S:g}"}


@pytest.fixture
def log_name() -> str:
    return "postgres"


@pytest.fixture
async def tokens(idle_fleet: Fleet) -> AsyncIterator[Tokens]:
    pool = Pool(idle_fleet.environment["STATE_DB_URI"], 1, 30.0)
    yield Tokens(pool, "default")
    await pool.close()


async def test_a_revoked_token_is_refused_by_another_process_within_four_seconds_and_its_stream_ends(
    idle_fleet: Fleet, tokens: Tokens, sink: Sink
) -> None:
    made, keeper = await tokens.make(Role.USER), await tokens.make(Role.TENANT)
    port = free_port()
    await asyncio.to_thread(idle_fleet.start, 1)
    await asyncio.to_thread(lambda: idle_fleet.gateway(PORT=str(port)))
    here, there = idle_fleet.url, idle_fleet.url.replace(str(idle_fleet.port), str(port))
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as http:
        assert (await who(http, there, made)).status_code == 200
        stream = asyncio.ensure_future(followed(http, there, made))
        waiting = asyncio.ensure_future(
            http.post(
                f"{there}/v1/sessions/s/turns",
                json={"workflow": "gives_up", "input": {"sink": sink.address, "session": "s"}},
                headers={**made.headers, "prefer": "wait=25"},
            )
        )
        done, _ = await asyncio.wait({stream, waiting}, timeout=CACHE_S)
        assert not done

        answer = await http.delete(f"{here}/v1/tokens/{made.token_id}", headers=keeper.headers)
        revoked_s = time.monotonic()
        assert answer.status_code in (200, 204), answer.text
        while (refused := await who(http, there, made)).status_code == 200:
            assert time.monotonic() - revoked_s < KNOWN_WITHIN_S
            await asyncio.sleep(0.05)
        known_s = time.monotonic() - revoked_s
        text, waited = await asyncio.wait_for(asyncio.gather(stream, waiting), ENDED_WITHIN_S)
        kept = await who(http, there, keeper)

    assert (refused.status_code, refused.json()["code"]) == (401, "invalid_token")
    assert known_s < KNOWN_WITHIN_S
    assert '"invalid_token"' in text
    assert waited.status_code == 202  # what was posted is accepted all the same
    assert kept.status_code == 200


async def who(http: httpx2.AsyncClient, url: str, made: Made) -> httpx2.Response:
    return await http.get(f"{url}/v1/whoami", headers=made.headers)


async def followed(http: httpx2.AsyncClient, url: str, made: Made) -> str:
    """Return what a stream of a quiet session says until it ends."""
    answer = await http.get(f"{url}/v1/sessions/quiet/events", headers={**made.headers, "accept": "text/event-stream"})
    assert answer.status_code == 200
    return answer.text
