"""What the code of a turn costs: one turn with many steps on a fleet, and the loop of a turn alone, in this process."""

import asyncio
import json
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import uvloop

from argosy.workflow.definition import Workflow, workflow_of
from argosy.workflow.execute import Execution
from argosy.workflow.replay import Row
from argosy.workflow.step_runner import Bounds
from argosy.workflow.threads import Threads, make_threads
from bench.bed import bed
from bench.latency import JSON, p50_p99_ms, until
from bench.report import Finding
from bench.services import Services
from bench.workflows import bench_at_once, bench_in_a_row, bench_nothing, bench_one
from tests.workflow.list_journal import ListJournal

_STEPS = 1_000
_AT_ONCE = 200  # turns at once, as in a busy worker
_ROUNDS = 5


class _Journal(ListJournal):
    """Records events and checks none of them."""

    def record(self, event: object, key: str, data: bytes) -> None:
        self.rows.append((len(self.rows) + 1, 1, str(event), key, data))

    def starts_now(self, key: str) -> bool:
        return True

    def free(self) -> None:
        """Drop the references between this journal and what ran with it, as a worker's journal does."""
        self.emitter = None
        self._advance = lambda: None


class _Ends:
    """Counts the turns that are left. all: done with the last one, or with the first error."""

    def __init__(self, left: int) -> None:
        self.all: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._left = left

    def after_code(self, result: bytes | None, error: BaseException | None) -> None:
        self._left -= 1
        if error is not None and not self.all.done():
            self.all.set_exception(error)
        if not self._left and not self.all.done():
            self.all.set_result(None)


async def _run(workflow: Workflow, threads: Threads, journals: Sequence[_Journal]) -> float:
    """Run one turn for each journal, all at once, and return the CPU seconds that all took together."""
    loop = asyncio.get_running_loop()
    ends = _Ends(len(journals))
    began_s = time.process_time()
    for journal in journals:
        loop.call_soon(Execution(threads, Bounds(1_000_000), ends).begin, workflow, journal, b"%d" % _STEPS)
    await ends.all
    took_s = time.process_time() - began_s
    for journal in journals:
        journal.free()
    return took_s


def _declared(function: object) -> Workflow:
    found = workflow_of(function)
    assert found is not None
    return found


async def _alone() -> list[Finding]:
    threads = make_threads(steps=1, workflows=1, abandoned_max=1)
    findings = []
    for what, function in (("no step", bench_nothing), ("one step", bench_one)):
        best_s = min(
            [await _run(_declared(function), threads, [_Journal() for _ in range(_AT_ONCE)]) for _ in range(50)]
        )
        findings.append(Finding(f"the loop of a turn with {what}, CPU", f"{best_s / _AT_ONCE * 1e6:.1f} µs", "", None))
    for what, function in (("in a row", bench_in_a_row), ("at once", bench_at_once)):
        first = _Journal()
        await _run(_declared(function), threads, [first])
        recorded: list[Row] = list(first.rows)
        best_s = min([await _run(_declared(function), threads, [_Journal(list(recorded))]) for _ in range(_ROUNDS)])
        findings.append(
            Finding(f"replay of {_STEPS} steps {what}, CPU", f"{best_s * 1e3:.1f} ms", "≤ 10 ms", best_s <= 0.01)
        )
    return findings


async def measure(servers: Services, folder: Path, is_quick: bool) -> list[Finding]:
    findings = []
    async with bed(servers, folder, "code", 8) as on:
        on.fleet.worker()

        async def took_s(workflow: str, steps: int, samples: int) -> list[float]:
            """Return the seconds from sending the POST to the durable end, for each sample but the first."""
            seen_s = []
            body = json.dumps({"workflow": workflow, "input": steps}).encode()
            for number in range(samples):
                began_s = time.perf_counter()
                answer = await on.client.request("POST", f"/v1/sessions/{workflow}-{number}/turns", body, JSON)
                await until(on.database, uuid.UUID(json.loads(answer.body)["turn_id"]), "completed")
                seen_s.append(time.perf_counter() - began_s)
            return seen_s[1:]  # the first sample warms the fleet up

        samples = 6 if is_quick else 20
        chain = p50_p99_ms(await took_s("bench_in_a_row", 100, samples))["p50_ms"]
        gather = p50_p99_ms(await took_s("bench_at_once", _STEPS, samples))["p50_ms"]
        rate = 100 / chain * 1e3
        findings += [
            Finding("100 steps in a row, one turn", f"{rate:.0f} steps/s", "≥ 1000 steps/s", rate >= 1_000),
            Finding(f"{_STEPS} steps at once, one turn", f"p50 {gather:.0f} ms", "≤ 150 ms", gather <= 150),
        ]
    findings += await asyncio.to_thread(uvloop.run, _alone())
    return findings
