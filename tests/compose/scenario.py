"""deploy/compose.yaml in a real engine: `make test-compose`, which runs this in a network of its own (__main__.py).

The tests are in the order of a fleet's life, and share it: it comes up, serves, loses processes, and goes.
"""

import asyncio
import itertools
import json
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.checker.sink import Sink
from tests.compose.engine import Engine, Project
from tests.compose.tools import tools
from tests.deploy.compose_file import DEPLOY, own, services
from tests.harness.client import Client, Reply

pytestmark = pytest.mark.timeout(1_500)

RUNG: Final = "d"
HOST: Final = "172.31.251.1"  # this side of the network that compose.yaml names
URL: Final = "http://127.0.0.1:8080"
TENANT: Final = "acme"
LEFT_OUT: Final = frozenset(os.environ.get("COMPOSE_LEFT_OUT", "").split())  # no image of them is to be had here
RUN: Final = {name for name, service in services().items() if RUNG in service["profiles"]} - LEFT_OUT
OURS: Final = {name for name, service in own().items() if RUNG in service["profiles"]}
_UP_WITHIN_S: Final = 900.0
_ENDS_WITHIN_S: Final = 300.0


class Fleet(NamedTuple):
    """What runs, and the token of its administrator."""

    engine: Engine
    project: Project
    admin: str


class TokenClient(Client):
    """A client that shows a token."""

    def __init__(self, sink: Sink, token: str) -> None:
        super().__init__(URL, sink)
        self._token = token

    async def request(self, method: str, path: str, content: str = "", **headers: str) -> Reply:
        return await super().request(method, path, content, authorization=f"Bearer {self._token}", **headers)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    found = tools()
    engine = Engine(found, tmp_path_factory.mktemp("engine"))
    engine.start()
    try:
        engine.docker("load", "--quiet", "--input", os.environ["COMPOSE_IMAGES"], within_s=900)
        admin = secrets.token_hex(32)
        given = {
            "COMPOSE_PROFILES": RUNG,
            "GRAPH_SERVICE_AUTH_SECRET": secrets.token_hex(32),
            "ADMIN_TOKEN": admin,
            "POSTGRES_PASSWORD": secrets.token_hex(16),
            "WORKFLOWS_DIR": str(Path(__file__).parent / "workflows"),
            "WORKFLOWS": "work.py",
        }
        project = Project(found, engine, DEPLOY, given)
        try:
            project.compose("up", "--detach", "--no-build", "--wait", *sorted(RUN), within_s=_UP_WITHIN_S)
            yield Fleet(engine, project, admin)
        except AssertionError:
            print(project.compose("ps", "--all", is_checked=False))
            print(project.compose("logs", "--tail", "30", "--no-color", is_checked=False))
            raise
        finally:
            project.compose("down", "--volumes", "--timeout", "30", within_s=_ENDS_WITHIN_S)
    finally:
        engine.stop()


@pytest.fixture(scope="module")
def sink(fleet: Fleet) -> Iterator[Sink]:
    sink = Sink(HOST)
    yield sink
    sink.stop()


@pytest.fixture(scope="module")
def token(fleet: Fleet) -> str:
    """A token for the turns of a tenant, which is made as an administrator does."""
    _call(fleet.admin, "/v1/tenants", {"name": TENANT})
    made = _call(fleet.admin, "/v1/tokens", {"name": "shop", "role": "tenant"}, TENANT)
    return str(made["token"])


def _call(token: str, path: str, body: dict[str, Any], tenant: str = "") -> dict[str, Any]:
    headers = {"authorization": f"Bearer {token}"} | ({"x-argosy-tenant": tenant} if tenant else {})
    answer = httpx2.post(URL + path, json=body, headers=headers, timeout=30, trust_env=False)
    assert answer.is_success, f"{answer.status_code} {answer.text}"
    found: dict[str, Any] = answer.json()
    return found


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_everything_is_up_and_the_setup_has_run_to_its_end(fleet: Fleet) -> None:
    found = fleet.project.containers()
    (setup,) = (each for name, each in found.items() if "-setup-" in name)
    states = {name: each["State"] for name, each in found.items() if each is not setup}

    assert (setup["State"]["Status"], setup["State"]["ExitCode"]) == ("exited", 0)
    assert {name for name, state in states.items() if state["Health"]["Status"] != "healthy"} == set()
    assert len(found) == sum(services()[name]["deploy"].get("replicas", 1) for name in RUN)
    assert {name for name, each in found.items() if each["RestartCount"]} == set()


@pytest.mark.parametrize("service", sorted(OURS - {"setup"}))
def test_a_process_of_ours_has_no_rights(fleet: Fleet, service: str) -> None:
    for name, container in fleet.project.containers(service).items():
        status = _status(container["State"]["Pid"])
        wrote, _ = fleet.engine.docker("exec", name, "python3", "-c", "open('/opt/argosy/x', 'w')", is_checked=False)
        said, _ = fleet.engine.docker("exec", name, "python3", "-c", "open('/tmp/x', 'w')", is_checked=False)

        assert container["HostConfig"]["ReadonlyRootfs"]
        assert status["Uid"].split() == ["10001"] * 4
        assert {int(status[each], 16) for each in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {0}
        assert status["NoNewPrivs"] == "1"
        assert wrote != 0
        assert said == 0


def test_our_image_has_no_health_check_and_a_user_of_its_own(fleet: Fleet) -> None:
    images = {container["Image"] for container in fleet.project.containers(*sorted(OURS)).values()}
    configs = [json.loads(fleet.engine.docker("image", "inspect", image)[1])[0]["Config"] for image in images]

    assert len(configs) == 1
    assert "Healthcheck" not in configs[0]
    assert configs[0]["User"] == "10001:10001"


@pytest.mark.parametrize("service", ["postgres", "prometheus", "alertmanager", "caddy"])
def test_a_server_of_others_cannot_write_but_where_it_must(fleet: Fleet, service: str) -> None:
    (container,) = fleet.project.containers(service).values()
    status = _status(container["State"]["Pid"])

    assert container["HostConfig"]["ReadonlyRootfs"]
    assert status["NoNewPrivs"] == "1"
    assert (status["Uid"].split()[0] == "0") is (service == "caddy")


def test_kafka_takes_what_is_compressed_by_native_code(fleet: Fleet) -> None:
    """Topics of others (INGEST_TOPICS) are written by others: the broker unpacks libraries for that, and runs them."""
    produce = """if True:
        from confluent_kafka import Producer
        from confluent_kafka.admin import AdminClient, NewTopic
        servers = {"bootstrap.servers": "kafka-1:9092"}
        admin = AdminClient(servers)
        admin.create_topics([NewTopic("of-others", 1, 3)])["of-others"].result(30)
        for codec in ("lz4", "snappy", "zstd"):
            producer = Producer({**servers, "compression.type": codec, "message.timeout.ms": 30_000})
            failed = []
            for _ in range(20):
                producer.produce("of-others", b"x" * 1_000, on_delivery=lambda e, _: failed.append(e) if e else None)
            left = producer.flush(40)
            assert not failed and not left, (codec, failed[:1], left)
    """
    (worker, *_) = fleet.project.containers("dispatch")

    fleet.engine.docker("exec", worker, "python3", "-c", produce)


async def test_a_stream_comes_through_caddy_as_it_is_made(fleet: Fleet, sink: Sink, token: str) -> None:
    client = TokenClient(sink, token)
    turn_id = await client.post("streamed", "talks", words=10, pause_s=0.5)
    headers = {"accept": "text/event-stream", "authorization": f"Bearer {token}"}
    arrived: list[tuple[float, str]] = []
    async with (
        httpx2.AsyncClient(timeout=60, trust_env=False) as http,
        http.stream("GET", f"{URL}/v1/turns/{turn_id}/events", headers=headers) as response,
    ):
        async for line in response.aiter_lines():
            if line.startswith("event: "):
                arrived.append((time.monotonic(), line.removeprefix("event: ")))
                if len(arrived) == 1:
                    first = await client.turn(turn_id)
                if arrived[-1][1] in ("turn.completed", "turn.failed"):
                    break
    await client.close()
    moments = [at for at, _ in arrived]

    assert arrived[-1][1] == "turn.completed", arrived
    assert first["status"] not in ("completed", "failed"), "its first event came after its end"
    assert moments[-1] - moments[0] > 2.0, "everything came at once"
    apart = [later - earlier > 0.2 for earlier, later in itertools.pairwise(moments)]
    assert sum(apart) >= 5, "words came in heaps"


async def test_a_worker_and_a_shard_are_killed_and_nothing_is_lost_or_doubled(
    fleet: Fleet, sink: Sink, token: str
) -> None:
    client = TokenClient(sink, token)
    sessions = [f"work-{number}" for number in range(12)]
    posted = await asyncio.gather(
        *(
            client.post(name, "works", effects=5, name=str(turn), n=5, step_s=0.5)
            for name in sessions
            for turn in range(3)
        )
    )
    await _until_effects(sink, len(sessions))
    (worker, *_) = sorted(fleet.project.containers("dispatch"))
    (shard,) = fleet.project.containers("shard-2")
    await asyncio.to_thread(fleet.project.kill, worker)
    await asyncio.to_thread(fleet.project.kill, shard)
    open_then = [turn_id for turn_id in posted if (await client.turn(turn_id))["status"] != "completed"]
    ended = await client.until_status(posted, within_s=_ENDS_WITHIN_S)
    counts = {name: await client.post(name, "counts") for name in sessions}
    counted = await client.until_status(counts.values(), within_s=_ENDS_WITHIN_S)
    restarted = {name: each["RestartCount"] for name, each in fleet.project.containers("dispatch", "shard-2").items()}

    assert len(open_then) >= len(sessions), "they were killed after the work"
    assert {turn["status"] for turn in ended.values()} == {"completed"}
    assert {turn["result"] for turn in counted.values()} == {15}
    assert restarted[worker] == 1
    assert restarted[shard] == 1
    await client.judge(disruptions=2)
    await client.close()


async def _until_effects(sink: Sink, number: int, within_s: float = 120.0) -> None:
    until_s = time.monotonic() + within_s
    while len(await asyncio.to_thread(sink.effects)) < number:
        assert time.monotonic() < until_s, "the turns do not begin"
        await asyncio.sleep(0.05)


def test_prometheus_scrapes_every_process(fleet: Fleet) -> None:
    until_s = time.monotonic() + 120
    while True:
        answer = httpx2.get("http://127.0.0.1:9090/api/v1/targets?state=active", timeout=30, trust_env=False)
        targets = answer.json()["data"]["activeTargets"]
        asked = [each for each in targets if urlsplit(each["scrapeUrl"]).hostname not in LEFT_OUT]
        down = {each["scrapeUrl"]: each["lastError"] for each in asked if each["health"] != "up"}
        processes = sum(services()[name]["deploy"].get("replicas", 1) for name in OURS - {"setup"})
        if not down and len(targets) >= processes:
            return
        assert time.monotonic() < until_s, down or f"{len(targets)} targets"
        time.sleep(1)


def test_down_leaves_nothing_behind(fleet: Fleet) -> None:
    pids = [each["State"]["Pid"] for each in fleet.project.containers().values() if each["State"]["Pid"]]
    began_s = time.monotonic()
    fleet.project.compose("down", "--volumes", within_s=_ENDS_WITHIN_S)

    assert time.monotonic() - began_s < _ENDS_WITHIN_S
    assert fleet.engine.docker("ps", "--all", "--quiet")[1] == ""
    assert fleet.engine.docker("volume", "ls", "--quiet")[1] == ""
    assert set(fleet.engine.docker("network", "ls", "--format", "{{.Name}}")[1].split()) == {"bridge", "host", "none"}
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
    assert fleet.engine.run("ip", "-brief", "link", "show", "type", "veth")[1] == ""
