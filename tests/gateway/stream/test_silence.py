"""Whom no owner tells anything: what Postgres knows is found at a heartbeat all the same."""

import asyncio
from datetime import UTC, datetime, timedelta

from prometheus_client import REGISTRY

from tests.gateway.rows import Rows
from tests.gateway.stream.conftest import Serve
from tests.gateway.stream.owner import Owner
from tests.gateway.stream.until import until

HEARTBEAT_S = 0.1


def reads() -> float:
    return REGISTRY.get_sample_value("argosy_gateway_stream_reads_total", {"why": "silence"}) or 0.0


async def test_an_ending_that_its_owner_never_tells_is_told(owner: Owner, serve: Serve, rows: Rows) -> None:
    gateway = await serve(sse_heartbeat_s=HEARTBEAT_S)
    turn_id = await rows.turn("s", "running", attempt=1, seq=1)
    await rows.events(turn_id, ("turn.started", "", {}))
    before = reads()

    async with gateway.read(f"/v1/turns/{turn_id}/events") as reader:
        await owner.until_asked()
        await until(lambda: len(reader.comments) >= 3)
        read_in_vain = reads() - before
        await rows.connection.execute(
            "INSERT INTO events (turn_id, seq, lineage, attempt, type, key, data) VALUES ($1, 2, 1, 1, $2, '', '{}')",
            turn_id, "turn.completed",
        )  # fmt: skip
        await rows.connection.execute(
            "UPDATE turns SET status = 'completed', seq = 2, ended_at = now() WHERE turn_id = $1", turn_id
        )
        await reader.until_closed()

    assert reader.seqs == [1, 2]
    assert (read_in_vain, reads() - before) == (0, 1)


async def test_the_stream_of_a_turn_that_never_comes_ends(owner: Owner, serve: Serve, rows: Rows) -> None:
    gateway = await serve(sse_heartbeat_s=HEARTBEAT_S)
    turn_id = rows.mint("never")

    async with gateway.read(f"/v1/turns/{turn_id}/events") as reader:
        await owner.until_asked()
        await asyncio.sleep(2 * HEARTBEAT_S)
        is_closed_early = reader.is_closed
        await rows.accepted_through("never", datetime.now(UTC) + timedelta(minutes=4))
        told = await reader.until_closed()

    assert (is_closed_early, told) == (False, [])
    assert (await gateway.client.get(f"/v1/turns/{turn_id}")).status_code == 404


async def test_the_next_turn_of_a_session_is_told_though_its_owner_is_silent(
    owner: Owner, serve: Serve, rows: Rows
) -> None:
    gateway = await serve(sse_heartbeat_s=HEARTBEAT_S)

    async with gateway.read("/v1/sessions/s/events") as reader:
        await owner.until_asked()
        turn_id = await rows.turn("s", "running", attempt=1, seq=1)
        await rows.events(turn_id, ("turn.started", "", {}))
        await reader.until(1)

    assert reader.seqs == [1]
