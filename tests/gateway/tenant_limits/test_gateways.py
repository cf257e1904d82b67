"""Gateways on one Postgres: what one lets through, the others know; and what a client is told that has to wait."""

import json
from typing import Any

import httpx2
import pytest

from tests.gateway.conftest import OpenGateway
from tests.gateway.rows import Rows
from tests.gateway.stubborn_writer import ECHO
from tests.harness.tcp_proxy import PostgresProxy

pytestmark = pytest.mark.usefixtures("alone")
SLOW = {"gateway_rate_limit": 0.001, "gateway_rate_burst": 8.0}


def state_of(client: httpx2.AsyncClient) -> Any:
    return client.state  # type: ignore[attr-defined]


async def statuses(client: httpx2.AsyncClient, count: int) -> list[int]:
    """Of turns that come at the same moment."""
    lines = b"\n".join([json.dumps(ECHO | {"session": "s"}).encode()] * count)
    answer = await client.post("/v1/turns:batch", content=lines)
    return [json.loads(line)["status"] for line in answer.text.splitlines()]


async def test_a_client_over_a_limit_is_told_which_and_when_to_come_again(open_gateway: OpenGateway) -> None:
    client = await open_gateway(gateway_rate_limit=0.5, gateway_rate_burst=2.0)

    batch = await statuses(client, 3)
    refused = await client.post("/v1/sessions/s/turns", json=ECHO)
    metrics = (await client.get("/metrics")).text

    assert batch == [202, 202, 429]
    assert (refused.status_code, refused.json()["code"], refused.json()["retryable"]) == (429, "rate_limited", True)
    assert refused.headers["retry-after"] == "2"
    assert refused.headers["ratelimit-policy"] == '"turns";q=1;w=2'
    assert refused.headers["ratelimit"] == '"turns";r=0;t=2'
    assert 'argosy_gateway_rate_limited_total{kind="turns"}' in metrics


async def test_what_one_gateway_let_through_the_others_do_not(open_gateway: OpenGateway) -> None:
    other, one = await open_gateway(**SLOW), await open_gateway(**SLOW)

    first = await statuses(one, 6)
    await state_of(one).limits.settle()
    rest = await statuses(one, 5)
    await state_of(one).limits.settle()
    await statuses(other, 1)
    await state_of(other).limits.settle()
    elsewhere = await statuses(other, 4)

    assert first == [202] * 4 + [429] * 2  # its half of 8: it has not heard yet that nobody else is asked
    assert rest == [202] * 4 + [429]
    assert elsewhere == [429] * 4


async def test_a_gateway_that_ends_leaves_its_part_to_the_others(open_gateway: OpenGateway) -> None:
    one, other = await open_gateway(**SLOW), await open_gateway(**SLOW)
    both = state_of(other).limits.turns.gateways

    await state_of(one).limits.close()
    first = await statuses(other, 1)
    await state_of(other).limits.settle()

    assert (both, state_of(other).limits.turns.gateways) == (2, 1)
    assert first + await statuses(other, 8) == [202] * 8 + [429]


async def test_without_postgres_turns_are_limited_all_the_same(open_gateway: OpenGateway, proxy: PostgresProxy) -> None:
    client = await open_gateway(**SLOW, state_db_uri=proxy.dsn)
    limits = state_of(client).limits
    before = await statuses(client, 2)
    await proxy.refuse()

    taken = [limits.turns.take("somebody") for _ in range(9)]

    assert before == [202, 202]
    assert taken == [1] * 8 + [0]


async def test_requests_about_graphs_have_a_limit(open_gateway: OpenGateway) -> None:
    client = await open_gateway(gateway_graph_rate_limit=1.0, gateway_graph_rate_burst=2.0)

    answers = [await client.get("/v1/graphs") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[-1].headers["ratelimit-policy"] == '"graph_calls";q=1;w=1'


async def test_a_tenant_has_so_many_waits_at_all_gateways(open_gateway: OpenGateway, rows: Rows, tenant: str) -> None:
    one, other = [await open_gateway(gateway_tenant_streams_max=2) for _ in range(2)]
    url = f"/v1/turns/{await rows.turn('s', 'suspended', attempt=1)}?wait=1"

    with state_of(one).limits.stream(tenant), state_of(one).limits.stream(tenant):
        await state_of(one).limits.settle()
        state_of(other).limits.streams.opened(tenant)  # before it has heard of those
        await state_of(other).limits.settle()
        here, there = await one.get(url), await other.get(url)
        posted = await one.post("/v1/sessions/t/turns", json=ECHO, headers={"prefer": "wait=1"})
    state_of(other).limits.streams.closed(tenant)
    await state_of(one).limits.settle()
    await state_of(other).limits.settle()
    again = await other.get(url)

    assert (here.status_code, here.json()["code"]) == (429, "rate_limited")
    assert (there.status_code, posted.status_code) == (429, 202)
    assert again.status_code == 200
