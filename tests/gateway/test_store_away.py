"""Postgres goes away and comes back: reads say 503 in time, turns are taken all the same, nothing is restarted."""

import asyncio
import json
import time
import uuid
from pathlib import Path

import httpx2
import pytest

from argosy import config
from argosy.logs.open import ensure
from tests.gateway.conftest import OpenGateway, gateway_of
from tests.gateway.rows import Rows
from tests.harness.tcp_proxy import PostgresProxy

ECHO = {"workflow": "echo", "input": 1}


async def answers_again(client: httpx2.AsyncClient, url: str, body: dict[str, object] | None = None) -> httpx2.Response:
    """The first answer that is no 503. body: to post; None: the address is read."""
    async with asyncio.timeout(15):
        while True:
            answer = await (client.get(url) if body is None else client.post(url, json=body))
            if answer.status_code != 503:
                return answer
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("how", ["refused", "silent"])
async def test_reads_are_503_while_postgres_is_away_and_come_back(
    open_gateway: OpenGateway, rows: Rows, proxy: PostgresProxy, how: str
) -> None:
    client = await open_gateway(state_db_uri=proxy.dsn)
    turn_id = await rows.turn("s", "running", attempt=1)
    urls = [
        f"/v1/turns/{turn_id}",
        f"/v1/turns/{turn_id}/events",
        f"/v1/turns/{turn_id}/explain",
        "/v1/sessions/s",
        "/v1/workflows",
    ]
    if how == "refused":
        await proxy.refuse()
    else:
        proxy.hold()

    began_s = time.monotonic()
    away = await asyncio.gather(*map(client.get, urls), client.post(f"/v1/turns/{turn_id}/signals/x"))
    elapsed_s = time.monotonic() - began_s
    await proxy.allow()
    back = [await answers_again(client, url) for url in urls]

    assert [(answer.status_code, answer.json()["code"]) for answer in away] == [(503, "store_unavailable")] * 6
    assert {answer.headers["retry-after"] for answer in away} == {"1"}
    assert elapsed_s < 5
    assert [answer.status_code for answer in back] == [200] * len(urls)


async def test_a_gateway_whose_log_is_postgres_is_not_ready_without_it(
    open_gateway: OpenGateway, proxy: PostgresProxy
) -> None:
    client = await open_gateway(state_db_uri=proxy.dsn)
    here = await client.get("/readyz")
    await proxy.refuse()

    away = await client.get("/readyz")
    await proxy.allow()
    back = await answers_again(client, "/readyz")

    assert [answer.status_code for answer in (here, away, back)] == [200, 503, 200]
    assert (here.json()["store"], away.json()["store"], away.json()["log"]) == ("ok", "unavailable", "postgres")
    assert away.json()["cache_age_s"] >= 0


@pytest.mark.parametrize("how", ["refused", "silent"])
async def test_a_workflow_that_was_registered_while_postgres_cannot_be_asked_is_not_called_unknown(
    open_gateway: OpenGateway, rows: Rows, proxy: PostgresProxy, how: str
) -> None:
    client = await open_gateway(state_db_uri=proxy.dsn)
    name = f"new_{uuid.uuid4().hex}"
    await rows.connection.execute(
        "INSERT INTO workflows (lane, name, version, build) VALUES ('default', $1, '1', 'b')", name
    )
    if how == "refused":
        await proxy.refuse()
    else:
        proxy.hold()

    away = await client.post("/v1/sessions/s/turns", json={"workflow": name})
    await proxy.allow()
    back = await answers_again(client, "/v1/sessions/s/turns", {"workflow": name})

    assert (away.status_code, away.json()["code"], away.json()["retryable"]) == (503, "store_unavailable", True)
    assert back.status_code == 202


@pytest.mark.parametrize("how", ["refused", "silent"])
async def test_turns_are_taken_into_kafka_while_postgres_is_away(
    broker: str, gateway_dsn: str, proxy: PostgresProxy, tenant: str, tmp_path: Path, how: str
) -> None:
    settings = config.load(
        {}, state_db_uri=proxy.dsn, argosy_data_dir=tmp_path, allow_tenant_header=True, kafka_bootstrap_servers=broker,
        kafka_topic_prefix=f"g{uuid.uuid4().hex[:8]}", agent_turns_partitions=4,
    )  # fmt: skip
    await ensure(settings, gateway_dsn)
    async with gateway_of(settings, tenant) as client:
        if how == "refused":
            await proxy.refuse()
        else:
            proxy.hold()

        single = await client.post("/v1/sessions/s/turns", json=ECHO)
        began_s = time.monotonic()
        keyed = [
            await client.post("/v1/sessions/s/turns", json=ECHO, headers={"idempotency-key": f"k{number}"})
            for number in range(5)
        ]
        elapsed_s = time.monotonic() - began_s
        lines = b"\n".join(b'{"session":"s","workflow":"%b"}' % name for name in (b"nope", b"echo", b"neither"))
        batch = await client.post("/v1/turns:batch", content=lines)
        unknown = await client.post("/v1/sessions/s/turns", json={"workflow": "nope"})
        ready = await client.get("/readyz")

    assert [answer.status_code for answer in (single, *keyed)] == [202] * 6
    assert elapsed_s < 1.5
    assert [json.loads(line)["status"] for line in batch.text.splitlines()] == [503, 202, 503]
    assert unknown.status_code == 503
    assert (ready.status_code, ready.json()["store"], ready.json()["log"]) == (200, "unavailable", "kafka")
    assert ready.json()["cache_age_s"] > 0


async def test_a_gateway_that_never_met_postgres_takes_every_workflow(
    broker: str, gateway_dsn: str, tenant: str, tmp_path: Path
) -> None:
    settings = config.load(
        {}, state_db_uri="postgresql://nobody@127.0.0.1:1/none", argosy_data_dir=tmp_path, allow_tenant_header=True,
        kafka_bootstrap_servers=broker, kafka_topic_prefix=f"g{uuid.uuid4().hex[:8]}", agent_turns_partitions=4,
    )  # fmt: skip
    await ensure(settings, gateway_dsn)
    async with gateway_of(settings, tenant) as client:
        answer = await client.post("/v1/sessions/s/turns", json={"workflow": "anything"})

    assert answer.status_code == 202
