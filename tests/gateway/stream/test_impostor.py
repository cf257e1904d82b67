"""Somebody else has the address of the owner: what it says reaches no client, and Postgres is read instead."""

import asyncio
from collections.abc import Callable

import pytest

from argosy import telemetry
from tests.gateway.rows import Rows
from tests.gateway.stream.conftest import Gateway, Serve
from tests.gateway.stream.impostor import (
    Impostor,
    Say,
    as_an_echo,
    bare,
    unsigned,
    with_another_secret,
    with_what_it_received,
)  # fmt: skip
from tests.gateway.stream.owner import Owner, event
from tests.gateway.stream.turns import add_event, path_of, running
from tests.gateway.stream.until import until
from tests.harness.metrics import value_of
from tests.harness.relay import Relay


@pytest.mark.parametrize("sign", [unsigned, bare, with_another_secret, with_what_it_received, as_an_echo])
async def test_an_impostor_at_a_dead_workers_address_is_not_believed(
    sign: Callable[[Impostor], Say], serve: Serve, rows: Rows, owner: Owner
) -> None:
    turn_id = await running(rows)
    refused_before = value_of(telemetry.CALLS_REFUSED)
    async with Impostor(sign) as impostor:
        await rows.connection.execute(
            "UPDATE partitions SET owner = $1, address = $2", impostor.worker_id, impostor.address
        )
        gateway = await serve()
        async with gateway.read(path_of(turn_id)) as reader:
            await until(lambda: value_of(telemetry.CALLS_REFUSED) > refused_before)
            await add_event(rows, turn_id, 2, "step.started", "true")
            await reader.until(2)

            assert [(told.type, told.seq) for told in reader.messages] == [("turn.started", 1), ("step.started", 2)]
    assert impostor.received


async def test_a_recorded_answer_is_not_believed_on_another_stream(
    gateway: Gateway, owner: Owner, rows: Rows, serve: Serve
) -> None:
    """Who recorded what a worker said says it again, with the same numbers, when it has that worker's address."""
    turn_id = await running(rows)
    async with Relay(owner.address) as relay:
        await rows.connection.execute("UPDATE partitions SET address = $1", relay.address)
        first = await serve()
        async with first.read(path_of(turn_id)) as reader:
            asked = await owner.until_asked()
            asked.say(event=event(turn_id, 2, "step.started", "recorded"))
            await reader.until(2)
        (recorded,) = relay.calls
        said = iter(recorded.responses)
        relay.responses = lambda messages: [next(said, messages.pop())] if messages else []
        refused_before = value_of(telemetry.CALLS_REFUSED)
        second = await serve()

        async with second.read(path_of(turn_id)) as reader:
            await until(lambda: value_of(telemetry.CALLS_REFUSED) > refused_before)
            await asyncio.sleep(0.1)

            assert reader.seqs == [1]
