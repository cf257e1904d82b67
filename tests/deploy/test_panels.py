"""Every query of every dashboard has an answer in a real Prometheus that scrapes a running fleet."""

import asyncio
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from deploy.grafana.__main__ import BOARDS
from deploy.grafana.board import RATE, rate
from tests.deploy.own_prometheus import OwnPrometheus
from tests.harness.client import Client
from tests.harness.fixtures import *  # noqa: F403
from tests.harness.fleet import Fleet
from tests.harness.processes import Managed, free_port
from tests.harness.sharded import *  # noqa: F403
from tests.shards.processes import ShardProcess

ASKED: Final = {query for board in BOARDS for panel in board.panels for query in panel.queries.values()}
# What a fleet in which nothing goes wrong may have no answer to, and why.
_REFUSED: Final = "a counter by reason begins when the first is refused"
_FAILED: Final = "a counter by reason begins with the first that fails"
MAY_BE_EMPTY: Final = {
    rate("argosy_gateway_requests_refused_total", "code"): _REFUSED,
    rate("argosy_loop_errors_total", "loop, fault"): _FAILED,
    rate("argosy_turns_parked_total", "reason"): "no turn was parked yet",
    rate("argosy_dead_letters_total", "code"): "no record was kept aside yet",
    "sum by (state) (argosy_suspects)": "no worker died of a turn yet",
    rate("argosy_flushes_split_total", "why"): "Postgres took every flush whole",
    rate("argosy_shard_call_seconds_count", "method, code", '{code!~"(?i)ok"}'): _FAILED,
    "sum by (kind) (argosy_threads_waited_for)": "no call had to wait for a thread yet",
    "sum by (kind) (argosy_threads_abandoned)": "no call was given up yet",
    "sum by (topic) (argosy_ingest_topic_lag)": "no topics of others are read (INGEST_TOPICS)",
}
_WITHIN_S: Final = 60.0
_SUBQUERY_S: Final = 300.0  # `[30d:5m]` looks at every full five minutes


@pytest.fixture  # type: ignore[no-redef]
def log_name() -> str:
    return "postgres"


@pytest.fixture  # type: ignore[no-redef]
def settings(shard: ShardProcess) -> dict[str, str]:
    return {
        "GRAPH_SERVICE_ENDPOINTS": shard.endpoint,
        "EMBEDDER": "tests.harness.toy_embedder:embed",
        "MAINTENANCE_TICK_S": "0.2",
    }


@pytest.fixture
def jobs(idle_fleet: Fleet, shard: ShardProcess) -> dict[str, Managed]:
    """A process of each kind, by what it is called when it is scraped."""
    port = free_port()
    maintain = idle_fleet.start_process("maintain", ["maintain"], port, {"METRICS_PORT": str(port)}, "METRICS_HOST")
    jobs = {
        "argosy-gateway": idle_fleet.begin_gateway(),
        "argosy-dispatch": idle_fleet.begin_worker(),
        "argosy-ingest": idle_fleet.begin_ingest_worker(),
        "argosy-maintain": maintain,
    }
    for process in jobs.values():
        process.wait_ready()
    return {**jobs, "argosy-shard": shard.process}


@pytest.fixture
def prometheus(jobs: dict[str, Managed], tmp_path: Path) -> Iterator[OwnPrometheus]:
    prometheus = OwnPrometheus(tmp_path / "prometheus", jobs)
    try:
        prometheus.wait_ready()
        yield prometheus
    finally:
        prometheus.stop()


async def _post(client: Client, path: str, body: object, **headers: str) -> None:
    content = body if isinstance(body, str) else json.dumps(body)
    reply = await client.request("POST", path, content, **{"content_type": "application/json", **headers})
    assert reply.status_code in (200, 202), reply.text


async def _work(client: Client, number: int) -> None:
    """A bit of everything that a fleet is for."""
    session = f"s{number}"
    for workflow, more in (("steps", {"n": 2}), ("sleeps", {"sleep_s": 0.05}), ("stumbles", {"fail_times": 1})):
        turn = {"workflow": workflow, "input": client.job(session, **more)}
        await _post(client, f"/v1/sessions/{session}/turns", turn, prefer="wait=30")
    document = {"op": "document", "id": f"d{number}", "text": "The cat sat on the mat.", "metadata": {}}
    lines = [document, {"op": "upsert_node", "id": f"n{number}", "label": "Thing", "props": {"n": number}}]
    upload = "\n".join(map(json.dumps, lines))
    key = f"upload-{number}"
    await _post(client, "/v1/graphs/crm/ingest", upload, content_type="application/x-ndjson", idempotency_key=key)
    person = {"op": "upsert_node", "id": f"p{number}", "label": "Person", "props": {"n": number}}
    await _post(client, "/v1/graphs/crm/apply", {"ops": [person]})
    await _post(client, "/v1/graphs/crm/query", {"cypher": "MATCH (t:Thing) RETURN count(t)"})
    await _post(client, "/v1/graphs/crm/search", {"text": "cat"})


def _is_answered(prometheus: OwnPrometheus, query: str) -> bool:
    """Whether there is a series with a number: a quantile of nothing is none."""
    at_s = math.ceil(time.time() / _SUBQUERY_S) * _SUBQUERY_S if "[30d:5m]" in query else None
    found = prometheus.ask(query.replace(RATE, "1m"), at_s)
    return any(not math.isnan(float(series["value"][1])) for series in found)


@pytest.mark.slow  # 29 s on a busy machine, 20 of them until every process is ready
async def test_every_query_has_an_answer(prometheus: OwnPrometheus, client: Client) -> None:
    wanted, until_s, number = ASKED - set(MAY_BE_EMPTY), time.monotonic() + _WITHIN_S, 0
    while wanted and time.monotonic() < until_s:
        await _work(client, number)
        wanted = {query for query in wanted if not await asyncio.to_thread(_is_answered, prometheus, query)}
        number += 1
    for query in MAY_BE_EMPTY:
        prometheus.ask(query.replace(RATE, "1m"))  # raises for what is no question

    assert sorted(wanted) == []


def test_a_wrong_question_and_one_without_an_answer_are_found_out(tmp_path: Path) -> None:
    prometheus = OwnPrometheus(tmp_path / "prometheus", {})
    try:
        prometheus.wait_ready()

        with pytest.raises(AssertionError, match="parse error"):
            prometheus.ask("sum(up")
        assert _is_answered(prometheus, "vector(1)")
        assert not _is_answered(prometheus, "argosy_no_such_metric")
        assert not _is_answered(prometheus, "vector(0) / 0")
    finally:
        prometheus.stop()


def test_only_what_is_asked_may_be_empty() -> None:
    assert set(MAY_BE_EMPTY) <= ASKED
