"""What operators are shown of workers and partitions, and that nobody else is."""

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx2
import pytest

from argosy import ids, life
from argosy.gateway.fleet_views import FleetLane, lanes
from argosy.ranges import in_ranges
from argosy.store.fleet import PartitionsCounted, WorkersCounted
from tests.gateway.rows import Rows

EPOCH = (123_456_789 << 32) + 77  # as after a restore: beyond 2^53
OPERATOR = {"x-argosy-tenant": "default"}


class Fleet:
    """Workers in lanes of the test's own, so that tests do not meet."""

    def __init__(self, dsn: str, connection: asyncpg.Connection) -> None:
        self._dsn = dsn
        self._connection = connection
        self.lane = f"l{uuid.uuid4().hex[:10]}"
        self._processes: list[asyncpg.Connection] = []

    async def worker(self, *, heard_s: float = 0, lives: bool = True, **beat: Any) -> uuid.UUID:
        """A row; while it `lives`, a session holds the lock of its number."""
        worker_id = uuid.uuid4()
        number = await self._connection.fetchval(
            "INSERT INTO workers (worker_id, kind, lane, build, host, pid, address, metrics_port, slots)"
            " VALUES ($1, 'dispatch', $2, 'b7', 'box', 4711, '127.0.0.1:5', 6, 8) RETURNING worker_no",
            worker_id, self.lane,
        )  # fmt: skip
        await self._connection.execute(
            "INSERT INTO heartbeats (worker_id, at, draining, in_flight, ready_sessions, lag)"
            " VALUES ($1, now() - make_interval(secs => $2), $3, $4, $5, $6)",
            worker_id, heard_s, beat.get("draining", False), beat.get("in_flight", 0),
            beat.get("ready_sessions", 0), beat.get("lag", 0),
        )  # fmt: skip
        if lives:
            process = await asyncpg.connect(self._dsn, server_settings={"search_path": "argosy"})
            await process.execute("SELECT pg_advisory_lock(worker_lock($1))", number)
            self._processes.append(process)
        return worker_id

    async def owns(self, worker_id: uuid.UUID | None, *partitions: int, lane: str | None = None) -> None:
        await self._connection.executemany(
            "INSERT INTO partitions (lane, partition, owner, epoch, address) VALUES ($1, $2, $3, $4, '127.0.0.1:5')",
            [(lane or self.lane, partition, worker_id, EPOCH) for partition in partitions],
        )

    async def close(self) -> None:
        await self._connection.execute("DELETE FROM partitions")
        await self._connection.execute("DELETE FROM workers WHERE lane = $1", self.lane)
        for process in self._processes:
            await process.close()


@pytest.fixture
async def fleet(gateway_dsn: str, rows: Rows) -> AsyncIterator[Fleet]:
    fleet = Fleet(gateway_dsn, rows.connection)
    yield fleet
    await fleet.close()


async def shown(client: httpx2.AsyncClient, path: str) -> Any:
    answer = await client.get(path, headers=OPERATOR)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_worker_is_shown_with_what_it_owns_and_how_it_lives(
    client: httpx2.AsyncClient, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(life, "SERVER_GRACE_S", 0)
    alive = await fleet.worker(in_flight=3, ready_sessions=2, lag=40, draining=True)
    silent = await fleet.worker(heard_s=60)
    dead = await fleet.worker(lives=False)
    await fleet.owns(alive, 0, 1, 2, 9)
    await fleet.owns(dead, 5, 6)
    await fleet.owns(uuid.uuid4(), 7)
    await fleet.owns(None, 8)

    page = await shown(client, f"/v1/fleet?lane={fleet.lane}")

    workers = {uuid.UUID(each["worker_id"]): each for each in page["workers"]}
    assert {key: each["state"] for key, each in workers.items()} == {
        alive: "alive", silent: "silent", dead: "dead",
    }  # fmt: skip
    mine = workers[alive]
    assert mine.pop("started_at").endswith("Z")
    assert mine.pop("heard_s") < 5
    assert mine == {
        "worker_id": str(alive), "kind": "dispatch", "lane": fleet.lane, "build": "b7", "host": "box", "pid": 4711,
        "address": "127.0.0.1:5", "state": "alive", "draining": True, "slots": 8, "in_flight": 3,
        "partitions": "0-2, 9", "partition_count": 4, "ready_sessions": 2, "lag": 40,
    }  # fmt: skip
    assert page["lanes"] == [
        {
            "lane": fleet.lane, "partitions": 8, "owned": 7, "unowned": 1, "owner_dead": 3, "lag": 40,
            "workers_alive": 1, "workers_silent": 1, "workers_dead": 1, "slots": 8, "running": 3,
        }
    ]  # fmt: skip
    assert page["next"] is None


async def test_many_workers_are_paged(client: httpx2.AsyncClient, fleet: Fleet) -> None:
    workers = sorted([await fleet.worker(lives=False) for _ in range(5)])

    seen, cursor = [], ""
    for _ in range(3):
        page = await shown(client, f"/v1/fleet?lane={fleet.lane}&limit=2{cursor}")
        seen += [uuid.UUID(each["worker_id"]) for each in page["workers"]]
        cursor = f"&cursor={page['next']}"

    assert (seen, page["next"]) == (workers, None)


async def test_the_gateways_own_lane_shows_partitions_that_nobody_ever_claimed(
    client: httpx2.AsyncClient, fleet: Fleet
) -> None:
    lane = next(each for each in (await shown(client, "/v1/fleet"))["lanes"] if each["lane"] == "default")
    first = await shown(client, "/v1/fleet/partitions?limit=40")
    second = await shown(client, f"/v1/fleet/partitions?cursor={first['next']}")

    assert (lane["partitions"], lane["unowned"]) == (64, 64)
    assert [each["partition"] for page in (first, second) for each in page["partitions"]] == list(range(64))
    assert (second["next"], second["partitions"][0]["owner"]) == (None, None)


async def test_a_partition_shows_its_owner_its_position_and_what_waits_in_it(
    client: httpx2.AsyncClient, fleet: Fleet, rows: Rows
) -> None:
    session = "the session"
    partition = ids.partition_of(ids.bucket_of(await rows.session(session)), 64)
    owner = await fleet.worker()
    await fleet.owns(owner, partition, lane="default")
    through = datetime.now(UTC) - timedelta(seconds=3)
    await rows.accepted_through(session, through)
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    await rows.turn(session, "suspended", accepted_at=hour_ago)
    await rows.turn(session, "queued", accepted_at=hour_ago)

    page = await shown(client, f"/v1/fleet/partitions?limit=1&cursor={await _cursor_before(client, partition)}")

    (mine,) = page["partitions"]
    assert (mine["partition"], mine["owner"], mine["epoch"]) == (partition, str(owner), str(EPOCH))
    assert (mine["log_id"], mine["position"]) == ("test", 1)
    assert datetime.fromisoformat(mine["accepted_through"]) == through
    # What waits behind a turn that waits is neither running nor could it run.
    assert 3_600 <= mine["oldest_waiting_s"] < 3_700
    assert (mine["open_turns"] >= 2, mine["is_bounded"]) == (True, False)


async def _cursor_before(client: httpx2.AsyncClient, partition: int) -> str:
    return str(client.state.cursors.encode(("partitions", "default"), (partition,)))  # type: ignore[attr-defined]


async def test_the_oldest_turn_that_could_run_counts_from_when_it_fell_due(
    client: httpx2.AsyncClient, rows: Rows
) -> None:
    session = f"due-{uuid.uuid4()}"
    partition = ids.partition_of(ids.bucket_of(await rows.session(session)), 64)
    now = datetime.now(UTC)
    await rows.turn(session, "queued", accepted_at=now - timedelta(days=9), not_before=now - timedelta(days=2))

    page = await shown(client, f"/v1/fleet/partitions?limit=1&cursor={await _cursor_before(client, partition)}")

    assert page["partitions"][0]["oldest_turn_s"] == pytest.approx(2 * 86_400, abs=60)


async def test_a_turn_says_which_former_owner_still_runs_a_step_of_it(
    client: httpx2.AsyncClient, fleet: Fleet, rows: Rows
) -> None:
    session = f"handed-{uuid.uuid4()}"
    partition = ids.partition_of(ids.bucket_of(await rows.session(session)), 64)
    former, owner = await fleet.worker(), await fleet.worker()
    await rows.connection.execute("UPDATE workers SET lane = 'default' WHERE lane = $1", fleet.lane)
    await fleet.owns(owner, partition, lane="default")
    turn_id = await rows.turn(session, "running", attempt=1)
    runner = f"{former}/76"
    await rows.connection.execute(
        "INSERT INTO handovers (lane, partition, epoch, worker_id, is_settled, turn_ids, runners)"
        " VALUES ('default', $1, 76, $2, true, $3, $4)", partition, former, [uuid.uuid4(), turn_id], ["x/1", runner],
    )  # fmt: skip
    url = f"/v1/turns/{turn_id}/explain"

    held = (await client.get(url)).json()
    await rows.connection.execute(
        "INSERT INTO inbox (inbox_id, lane, bucket, tenant, turn_id, kind, name, state)"
        " VALUES ($1, 'default', 0, $2, $3, 'handover', $4, 'consumed')", uuid.uuid4(), rows.tenant, turn_id, runner,
    )  # fmt: skip
    said = (await client.get(url)).json()
    await rows.connection.execute("DELETE FROM workers WHERE worker_id = ANY ($1)", [former, owner])

    assert held["code"] == "handing_over"
    assert str(former) not in str(held), "workers are named to operators alone"
    assert datetime.fromisoformat(held["details"]["until"]) > datetime.now(UTC)
    assert said["code"] == "running"


async def test_a_term_is_exact_after_a_restore(client: httpx2.AsyncClient, rows: Rows) -> None:
    role = f"role-{uuid.uuid4().hex}"
    await rows.connection.execute(
        "INSERT INTO leaders (role, term, worker_id, host, pid) VALUES ($1, $2, $3, 'box', 4711)",
        role, EPOCH, uuid.uuid4(),
    )  # fmt: skip

    leaders = (await shown(client, "/v1/fleet/leaders"))["leaders"]
    await rows.connection.execute("DELETE FROM leaders WHERE role = $1", role)

    assert [each["term"] for each in leaders if each["role"] == role] == [str(EPOCH)]
    assert float(EPOCH) == float(EPOCH + 1)  # what a reader in JavaScript would have made of the number


@pytest.mark.parametrize("path", ["/v1/fleet", "/v1/fleet/partitions"])
async def test_tenants_are_not_shown_the_fleet(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.get(path)

    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/fleet?lane=%00", "invalid_parameter"),
        ("/v1/fleet?lane=No+Lane", "invalid_parameter"),
        ("/v1/fleet?limit=0", "invalid_parameter"),
        ("/v1/fleet?colour=red", "invalid_parameter"),
        ("/v1/fleet/partitions?cursor=AAAA", "invalid_cursor"),
    ],
)
async def test_what_cannot_be_read_is_a_problem(client: httpx2.AsyncClient, path: str, code: str) -> None:
    answer = await client.get(path, headers=OPERATOR)

    assert (answer.status_code, answer.json()["code"]) == (400, code)


async def test_a_lane_that_nobody_works_for_is_empty(client: httpx2.AsyncClient) -> None:
    assert (await shown(client, "/v1/fleet?lane=nowhere"))["lanes"] == []
    assert (await shown(client, "/v1/fleet/partitions?lane=nowhere"))["partitions"] == []


def test_lanes_are_summed_up_by_the_signs_of_life_of_their_workers() -> None:
    workers = [
        WorkersCounted("b", True, True, workers=2, slots=16, in_flight=5, lag=7, owned=6, server_up_s=99),
        WorkersCounted("b", True, False, workers=1, slots=8, in_flight=9, lag=9, owned=1, server_up_s=99),
        WorkersCounted("b", False, True, workers=3, slots=24, in_flight=9, lag=9, owned=2, server_up_s=99),
    ]
    partitions = [PartitionsCounted("b", claimed_ever=11, owned=10, orphaned=1)]

    found = lanes(workers, partitions, {"a": 4, "b": 16})

    assert found == [
        FleetLane(lane="a", partitions=4, owned=0, unowned=4, owner_dead=0, lag=0, workers_alive=0, workers_silent=0,
                  workers_dead=0, slots=0, running=0),
        FleetLane(lane="b", partitions=16, owned=10, unowned=6, owner_dead=3, lag=7, workers_alive=2, workers_silent=1,
                  workers_dead=3, slots=16, running=5),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("numbers", "text"), [([], ""), ([3], "3"), ([0, 1, 2], "0-2"), ([0, 1, 4, 6, 7], "0-1, 4, 6-7")]
)
def test_partitions_are_written_as_ranges(numbers: list[int], text: str) -> None:
    assert in_ranges(numbers) == text
