"""How fast an upload is in its graph, from its first byte until its job is done, next to a bulk load of the same lines.

Both go to the same shard, into new graphs, in turn.
"""

import statistics
import time
from pathlib import Path
from typing import Final, NamedTuple

from argosy.graph.ops import Op
from bench.cpu import CpuMeter
from bench.feed_lines import lines_of, nodes, parts_of
from bench.ingest_fleet import IngestFleet, ingest_fleet
from bench.report import Finding
from bench.services import Services
from tests.moves.moving import TENANT

_RATE_MIN: Final = 20_000
_SHARE_MIN: Final = 0.25
_LOAD_S: Final = 300.0


class _Uploaded(NamedTuple):
    lines_per_s: float
    cpu_us: dict[str, float]  # of a line, by process


async def _upload(on: IngestFleet, graph: str, body: bytes) -> _Uploaded:
    meter = CpuMeter(on.pids)
    meter.start()
    began_s = time.perf_counter()
    lines = await on.until_done(await on.upload(graph, body))
    elapsed_s = time.perf_counter() - began_s
    return _Uploaded(lines / elapsed_s, {name: spent / lines * 1e6 for name, spent in meter.spent_s().items()})


async def _load(on: IngestFleet, graph: str, ops: list[Op]) -> float:
    graphs = on.moving.graphs
    await graphs.create(TENANT, graph)
    began_s = time.perf_counter()
    await graphs.of(TENANT, graph).bulk_load(parts_of(ops), deadline_s=_LOAD_S)
    return len(ops) / (time.perf_counter() - began_s)


async def measure(servers: Services, folder: Path, is_quick: bool) -> list[Finding]:
    ops = nodes(100_000 if is_quick else 200_000)
    body = b"\n".join(lines_of(ops))
    uploaded, loaded = [], []
    async with ingest_fleet(servers, folder, "ingest_rates") as on:
        await _upload(on, "warm", body[: len(body) // 10].rpartition(b"\n")[0])
        for number in range(2 if is_quick else 5):
            uploaded.append(await _upload(on, f"uploaded-{number}", body))
            loaded.append(await _load(on, f"loaded-{number}", ops))
            print(f"  uploaded {uploaded[-1].lines_per_s:,.0f}/s, bulk load {loaded[-1]:,.0f}/s", flush=True)
    rate, load = (statistics.median(each) for each in ([each.lines_per_s for each in uploaded], loaded))
    cpu = {name: statistics.median(each.cpu_us[name] for each in uploaded) for name in uploaded[0].cpu_us}
    spent = " / ".join(f"{name} {us:.0f}" for name, us in cpu.items())
    what = f"upload of {len(ops):,} nodes, first byte to done"
    return [
        Finding(what, f"{rate:,.0f} lines/s", f"≥ {_RATE_MIN:,}", rate >= _RATE_MIN),
        Finding(
            f"{what}, of a bulk load", f"{rate / load:.2f} ({load:,.0f})", f"≥ {_SHARE_MIN}", rate / load >= _SHARE_MIN
        ),
        Finding("µs of CPU of a line", spent, "", None),
    ]
