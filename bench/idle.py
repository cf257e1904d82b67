"""What an idle fleet of 64 partitions asks of Postgres: statements per second, counted in the server's log."""

import asyncio
import re
from collections import Counter
from pathlib import Path

import asyncpg

from bench.bed import bed
from bench.owned import until_shared
from bench.report import Finding
from bench.services import Services

PARTITIONS = 64
_STATEMENT = re.compile(r"bench:(?P<pid>\d+):.*?LOG:  (?:statement|execute [^:]*): *(?P<text>.*)$", re.MULTILINE)


async def _tell_statements(dsn: str, is_told: bool) -> None:
    """Make the server log every statement, or none."""
    connection = await asyncpg.connect(dsn)
    for name, value in (("log_statement", "all"), ("log_line_prefix", "bench:%p:")):
        await connection.execute(f"ALTER SYSTEM SET {name} = '{value}'" if is_told else f"ALTER SYSTEM RESET {name}")
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()


async def _count(servers: Services, seconds: float) -> Counter[str]:
    """Count the statements of the next seconds, by the first 90 characters of their first lines."""
    start = servers.postgres.log_path.stat().st_size
    await asyncio.sleep(seconds)
    with servers.postgres.log_path.open(errors="replace") as log:
        log.seek(start)
        return Counter(match["text"][:90] for match in _STATEMENT.finditer(log.read()))


async def measure(servers: Services, folder: Path, seconds: float) -> list[Finding]:
    findings = []
    async with bed(servers, folder, "idle", PARTITIONS) as on:
        workers: list[int] = []
        await _tell_statements(servers.postgres.dsn, True)
        try:
            for count in (1, 2, 4):
                workers += [each.pid for each in on.fleet.workers(count - len(workers))]
                await until_shared(on.database, workers, PARTITIONS)
                await asyncio.sleep(5)
                found = await _count(servers, seconds)
                rate = found.total() / seconds
                for text, times in found.most_common(8):
                    print(f"  {count}: {times / seconds:6.2f}/s  {text}", flush=True)
                findings.append(
                    Finding(
                        f"idle, {PARTITIONS} partitions, a gateway and {count} worker{'s' * (count > 1)}: queries",
                        f"{rate:.1f}/s",
                        "< 20/s",
                        rate < 20,
                    )
                )
        finally:
            await _tell_statements(servers.postgres.dsn, False)
    return findings
