"""`python -m bench [SUITE …|all] [--quick] [--json FILE]`: start a broker and Postgres, measure, stop them.
`python -m bench --beside DIR`: this checkout and the one in DIR, in pairs of rounds: throughput, latency, recovery.

turns      what one turn costs, next to the floor; latencies; memory
workers    two workers against one
recovery   a worker is killed: when its steps run again, and when its sessions go on
stall      a worker joins or leaves: how long its sessions are held up
idle       what an idle fleet asks of Postgres
code       what the code of a turn costs: many steps in a row and at once, replays, the loop of a turn alone
graphs     what calls to a shard cost, next to a signed echo; loads, recalls, memory; neighbours that ask too much
ingest     what uploads cost, next to a bulk load; turns beside them, memory, two workers; lines of feeds at a shard
identity   what it costs to know who asks: a request's credential, the memory of tokens, MACs of records, a 404
moves      what a move of a graph costs those who write to it and read it; how many small graphs move a second
watch      how late frames are, how soon first events, answers and signals come, what frames cost
scale      what one turn costs each part of a fleet, and what is computed from it for many machines
backlog    how fast a long backlog drains, against a short one (takes long: only when named, or with `all`)

No suite passes or fails by time: the table shows target and result, and how busy other programs kept the machine.
"""

import argparse
import contextlib
import json
import os
import platform
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop

from bench import (
    backlog,
    beside,
    code,
    graphs,
    identity,
    idle,
    ingest,
    moves,
    recovery,
    stall,
    turns,
    two_workers,
    watch,
)
from bench.report import Finding, print_findings, print_table
from bench.scale import measure as scale
from bench.services import Services, services

Suite = Callable[[Services, Path, bool], Awaitable[list[Finding]]]
TURNS = "turns"
# servers, folder, is_quick -> findings
SUITES: dict[str, Suite] = {
    "workers": lambda s, f, q: two_workers.measure(s, f, 5_000 if q else 15_000, 1 if q else 2),
    "recovery": lambda s, f, q: recovery.measure(s, f, 4 if q else 20),
    "stall": lambda s, f, q: stall.measure(s, f, 2 if q else 4),
    "idle": lambda s, f, q: idle.measure(s, f, 10),
    "code": code.measure,
    "graphs": graphs.measure,
    "moves": moves.measure,
    "identity": identity.measure,
    "ingest": ingest.measure,
    "watch": watch.measure,
    "scale": scale.measure,
    "backlog": lambda s, f, q: backlog.measure(s, f, 50_000 if q else 200_000),
}
LONG = {"backlog"}


async def run(suites: list[str], is_quick: bool) -> dict[str, Any]:
    """Run these suites, one after the other, on servers of the bench's own."""
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    result: dict[str, Any] = {"machine": machine, "findings": [], "load_average": {}}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="argosy-bench-")))
        servers = stack.enter_context(services(folder))
        for name in suites:
            load_average = result["load_average"][name] = round(os.getloadavg()[0], 1)
            print(f"{name} (load average {load_average})", flush=True)
            if name == TURNS:
                measured, findings = await turns.measure(servers, folder, 0.2 if is_quick else 1.0)
                result |= measured
                result["findings"] += findings
            else:
                result["findings"] += await SUITES[name](servers, folder, is_quick)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.description = __doc__
    parser.add_argument("suites", nargs="*", metavar="SUITE", choices=["all", TURNS, *SUITES, []])
    parser.add_argument("--quick", action="store_true", help="fewer turns, kills and rounds")
    parser.add_argument("--beside", type=Path, metavar="DIR", help="another checkout, installed for development")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there as well")
    arguments = parser.parse_args()
    if arguments.beside:
        if arguments.suites or arguments.json:
            parser.error("--beside runs alone: no suites, and its table is not written to a file")
        print_findings(uvloop.run(beside.measure(arguments.beside.resolve(), is_quick=arguments.quick)))
        return
    every = [TURNS, *SUITES]
    named = every if "all" in arguments.suites else arguments.suites
    result = uvloop.run(run(named or [name for name in every if name not in LONG], arguments.quick))
    if "throughput" in result:
        print_table(result)
    print_findings(result["findings"])
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
