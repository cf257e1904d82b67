"""A turn is of whoever posted it, in every attempt and on every worker, and so is a turn that it starts. Nobody claims
to be another.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from argosy import config, ids, record
from argosy.identity.scopes import SCOPES_OF, Role
from argosy.log import Entry, Outcome
from argosy.logs.open import macs_of, open_writer
from argosy.logs.topic import turns_topic
from argosy.record import TurnRequested
from argosy.store.pool import Pool
from tests.checker.sink import Sink
from tests.gateway.identity.tokens import Made, Tokens
from tests.harness.client import Client, Reply
from tests.harness.effects import Latch
from tests.harness.fleet import WORKFLOWS, Fleet
from tests.harness.logs import BOTH_IN_FAULTS

TENANT = "default"
HERE = Path(__file__)
ADMIN = b'{"kind":"token","id":"of an administrator","scopes":["graphs:write"]}'


@pytest.fixture
def settings() -> dict[str, str]:
    own = [str(HERE.with_name(each)) for each in ("starting.py", "posting.py")]
    return {"KG_AUTH_REQUIRED": "1", "ARGOSY_WORKFLOWS": ",".join([str(WORKFLOWS), *own])}


class Holder(Client):
    """A client with a token."""

    def __init__(self, url: str, sink: Sink, made: Made) -> None:
        super().__init__(url, sink)
        self.made = made

    async def request(self, method: str, path: str, content: str = "", **headers: str) -> Reply:
        return await super().request(method, path, content, **self.made.headers, **headers)

    @property
    def who(self) -> dict[str, Any]:
        """What its turns are to be told."""
        scopes = sorted(map(str, SCOPES_OF[Role.USER]))
        return {
            "kind": "token", "id": str(self.made.token_id), "tenant": TENANT, "scopes": scopes,
            "sessions": ["*"], "workflows": None, "subject": "",
        }  # fmt: skip

    @property
    def shown(self) -> dict[str, Any]:
        """What clients are shown of it."""
        return {"kind": "token", "id": str(self.made.token_id)}


@pytest.fixture
async def holder(idle_fleet: Fleet, sink: Sink) -> AsyncIterator[Holder]:
    pool = Pool(idle_fleet.environment["STATE_DB_URI"], 1, 30.0)
    made = await Tokens(pool, TENANT).make(Role.USER, sessions=["*"])
    await pool.close()
    holder = Holder(idle_fleet.url, sink, made)
    yield holder
    await holder.close()


def child_of(holder: Holder, session: str) -> dict[str, str]:
    """A turn to be started, whose record claims to be of an administrator."""
    bucket = ids.bucket_of(ids.session_id_of(TENANT, TENANT, session))
    turn_id = ids.TurnIdMint(TENANT, TENANT).mint(bucket)
    job = json.dumps(holder.job(session)).encode()
    asked = TurnRequested(turn_id.bytes, TENANT, TENANT, session, "says_who", job, created_by=ADMIN)
    return {"turn_id": str(turn_id), "session": session, "record": record.encode(asked).hex()}


def entry_of(fleet: Fleet, session: str, created_by: bytes) -> tuple[str, Entry]:
    """A record as a gateway writes it, by somebody who may append to the topic."""
    session_id = ids.session_id_of(TENANT, TENANT, session)
    bucket = ids.bucket_of(session_id)
    turn_id = ids.TurnIdMint(TENANT, TENANT).mint(bucket)
    value = record.encode(
        TurnRequested(turn_id.bytes, TENANT, TENANT, session, "says_who", b"{}", created_by=created_by)
    )
    return str(turn_id), Entry(ids.partition_of(bucket, fleet.partitions), session_id.bytes, value)


async def append(fleet: Fleet, *entries: Entry) -> None:
    loaded = config.load({**fleet.environment, "LOG_RECORDS": "unsigned"})
    writer = await open_writer(loaded, loaded.state_db_uri, turns_topic(loaded))
    results = await writer.append(list(entries))
    await writer.close()
    assert {each.outcome for each in results} == {Outcome.APPENDED}


async def dead_letters(fleet: Fleet) -> list[str]:
    connection = await asyncpg.connect(fleet.environment["STATE_DB_URI"])
    try:
        return [row["code"] for row in await connection.fetch("SELECT code FROM argosy.dead_letters")]
    finally:
        await connection.close()


@BOTH_IN_FAULTS
async def test_a_turn_and_what_it_starts_are_of_whoever_posted_it_and_nobody_claims_to_be_another(
    idle_fleet: Fleet, holder: Holder
) -> None:
    await asyncio.to_thread(idle_fleet.start, 1)
    child = child_of(holder, "child")
    unsigned, claimed = entry_of(idle_fleet, "unsigned", ADMIN)
    macs = macs_of(loaded := config.load(idle_fleet.environment), turns_topic(loaded))
    assert macs is not None
    _, own = entry_of(idle_fleet, "altered", b"")
    _, altered = entry_of(idle_fleet, "altered", ADMIN)

    # One that has no MAC, and one whose principal was altered after a gateway signed it.
    await append(idle_fleet, claimed, macs.signed(own)._replace(value=altered.value))
    turn_id = await holder.post("s", "says_who")
    parent = await holder.post("parent", "starts", children=[child])
    (batched,) = await holder.batch([("b", {"workflow": "says_who", "input": holder.job("b")})])
    found = await holder.until_status([turn_id, parent, batched, unsigned])
    found |= await holder.until_status([child["turn_id"]])

    for each in (turn_id, batched, child["turn_id"]):
        assert found[each]["result"] == {"workflow": holder.who, "steps": [holder.who] * 2}
        assert found[each]["created_by"] == holder.shown
    assert found[unsigned]["result"] == {"workflow": None, "steps": [None] * 2}
    assert found[unsigned]["created_by"] is None
    assert await dead_letters(idle_fleet) == ["forged_record"]
    assert {each["created_by"]["id"] for each in await holder.listed("s")} == {holder.shown["id"]}


@pytest.mark.slow
@BOTH_IN_FAULTS
@pytest.mark.scenario(
    "worker killed in a step of somebody's turn", "the step that runs again is told the same principal"
)
async def test_a_step_that_runs_again_on_another_worker_is_told_the_same(
    idle_fleet: Fleet, holder: Holder, tmp_path: Path, latch: Latch
) -> None:
    (doomed,) = await asyncio.to_thread(idle_fleet.start, 1)
    told = tmp_path / "told"
    turn_id = await holder.post("s", "says_who_later", told=str(told), until=latch.path)
    first = await lines_of(told, 1)

    doomed.kill()
    await asyncio.to_thread(idle_fleet.worker)
    both = await lines_of(told, 2)
    latch.release()
    found = (await holder.until_status([turn_id]))[turn_id]

    assert both[0] == first[0]
    assert [each[0] for each in both] == [1, 2]
    assert both[0][1] != both[1][1]  # another process
    assert both[0][2] == both[1][2] == holder.who
    assert found["result"] == {"workflow": holder.who, "steps": [holder.who] * 3}


@pytest.mark.slow
@BOTH_IN_FAULTS
@pytest.mark.parametrize("crash_at", ["before_flush:1", "after_flush:1", "before_accept:1", "after_accept:1"])
@pytest.mark.scenario("worker killed while somebody's turn starts another", "the child is the parent's principal's")
async def test_a_child_whose_start_outlives_its_worker_is_of_its_parents_principal(
    idle_fleet: Fleet, holder: Holder, crash_at: str
) -> None:
    (doomed,) = await asyncio.to_thread(idle_fleet.start, 1, STARTS_CRASH_AT=crash_at)
    child = child_of(holder, "child")
    parent = await holder.post("parent", "starts", children=[child])

    assert await asyncio.to_thread(doomed.wait_dead, 15) == -9
    await asyncio.to_thread(idle_fleet.worker)
    await holder.until_status([parent])
    found = (await holder.until_status([child["turn_id"]]))[child["turn_id"]]

    assert found["result"] == {"workflow": holder.who, "steps": [holder.who] * 2}
    assert found["created_by"] == holder.shown


async def lines_of(file: Path, count: int) -> list[Any]:
    """What was written down, once it is so much."""
    async with asyncio.timeout(30):
        while True:
            lines = file.read_bytes().splitlines() if file.exists() else []  # noqa: ASYNC240
            if len(lines) >= count:
                return [json.loads(each) for each in lines]
            await asyncio.sleep(0.02)
