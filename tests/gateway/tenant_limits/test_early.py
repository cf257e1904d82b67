"""What a tenant sends to turns that are not accepted is bounded: they may never be."""

import uuid

from tests.gateway.conftest import OpenGateway
from tests.gateway.rows import Rows


async def test_a_tenant_sends_only_so_much_to_turns_that_are_not_here(open_gateway: OpenGateway, rows: Rows) -> None:
    client = await open_gateway(signals_early_max=3)
    here = await rows.turn("s", "running", attempt=1)
    paths = [f"/v1/turns/{rows.mint('s')}" for _ in range(4)]
    other = {"x-argosy-tenant": f"t-{uuid.uuid4().hex[:12]}"}
    first = await client.post(f"{paths[0]}/signals/go", json=1, headers={"idempotency-key": "k"})

    taken = [await client.post(f"{paths[1]}/signals/go", json=1), await client.post(f"{paths[2]}/cancel")]
    refused = [await client.post(f"{paths[3]}/signals/go", json=1), await client.post(f"{paths[3]}/cancel")]
    again = await client.post(f"{paths[0]}/signals/go", json=1, headers={"idempotency-key": "k"})
    accepted = await client.post(f"/v1/turns/{here}/signals/go", json=1)
    others = await client.post(f"/v1/turns/{uuid.uuid4()}/cancel", headers=other)

    assert [answer.status_code for answer in (first, *taken)] == [202] * 3
    assert {(each.status_code, each.json()["code"], each.headers["retry-after"]) for each in refused} == {
        (429, "too_many_signals", "1")
    }
    assert (again.status_code, again.json()) == (202, first.json())
    assert (accepted.status_code, others.status_code) == (202, 404)


async def test_so_many_bytes_are_too_much_too(open_gateway: OpenGateway, rows: Rows) -> None:
    client = await open_gateway(signals_early_size_bytes_max=1_024)

    answers = [await client.post(f"/v1/turns/{rows.mint('s')}/signals/go", json="x" * 500) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202, 202, 429]
