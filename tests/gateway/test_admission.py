"""Whose turns are taken now: rates, a log that is behind, workflows that are known."""

import json
import uuid

import httpx2
import pytest

from tests.gateway.conftest import OpenGateway
from tests.gateway.rows import Rows
from tests.gateway.stubborn_writer import ECHO


@pytest.mark.usefixtures("alone")
async def test_turns_over_the_rate_are_told_when_to_come_again(open_gateway: OpenGateway) -> None:
    client = await open_gateway(gateway_rate_limit=1.0, gateway_rate_burst=3.0)

    single = [await client.post("/v1/sessions/s/turns", json=ECHO) for _ in range(2)]
    batch = await client.post("/v1/turns:batch", content=b"\n".join([json.dumps(ECHO | {"session": "s"}).encode()] * 4))
    other = await client.post("/v1/sessions/s/turns", json=ECHO, headers={"x-argosy-tenant": "somebody-else"})
    refused = await client.post("/v1/sessions/s/turns", json=ECHO)

    lines = [json.loads(line) for line in batch.text.splitlines()]
    assert [answer.status_code for answer in single] == [202, 202]
    assert [line["status"] for line in lines] == [202, 429, 429, 429]
    assert other.status_code == 202
    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (429, "rate_limited", "1")


async def test_a_log_that_is_too_slow_refuses_new_turns(open_gateway: OpenGateway) -> None:
    client = await open_gateway(gateway_lag_max_s=0.5)
    state = client.state  # type: ignore[attr-defined]

    class Slow:
        async def backlog_age_s(self) -> float:
            return 0.6

    state.enqueue._writer = Slow()
    answer = await client.post("/v1/sessions/s/turns", json=ECHO)

    assert (answer.status_code, answer.json()["code"]) == (503, "log_unavailable")


@pytest.mark.parametrize(("behind_s", "status"), [(5, 202), (3_600, 503)])
async def test_new_turns_are_refused_while_accepting_is_too_far_behind(
    open_gateway: OpenGateway, rows: Rows, behind_s: int, status: int
) -> None:
    log = uuid.uuid4().hex
    await rows.connection.execute("DELETE FROM lane_logs WHERE lane = 'default'")
    await rows.connection.execute(
        "INSERT INTO lane_logs (lane, cluster_id, topic_id, topic, partition_count, since)"
        " VALUES ('default', $1, 't', 'turns.default', 8, '-infinity')",
        log,
    )
    await rows.connection.execute(
        "INSERT INTO positions (log_id, partition, lane, position, accepted_through)"
        " VALUES ($1 || '/t', 0, 'default', 1, now() - make_interval(secs => $2::double precision))",
        log,
        behind_s,
    )

    client = await open_gateway(gateway_lag_max_s=60.0)
    answer = await client.post("/v1/sessions/s/turns", json=ECHO)
    await rows.connection.execute("DELETE FROM lane_logs WHERE lane = 'default'")

    assert answer.status_code == status, answer.text


async def test_a_workflow_that_was_registered_a_moment_ago_is_known(client: httpx2.AsyncClient, rows: Rows) -> None:
    name = f"new-{uuid.uuid4().hex}"
    before = await client.post("/v1/sessions/s/turns", json={"workflow": name})
    await rows.connection.execute(
        "INSERT INTO workflows (lane, name, version, build) VALUES ('default', $1, '1', 'b')", name
    )

    after = await client.post("/v1/sessions/s/turns", json={"workflow": name})

    assert (before.status_code, after.status_code) == (422, 202)
