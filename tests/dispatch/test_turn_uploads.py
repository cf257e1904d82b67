"""What a worker's turns upload, as the log and the job's row have it."""

import uuid
from collections.abc import AsyncIterator

import asyncpg
import pytest

from argosy import config
from argosy.clock import SystemClock
from argosy.config import Settings
from argosy.ingest.chain import EMPTY, chain_of
from argosy.ingest.oversized import START_SIZE_BYTES_MAX, OversizedLine, oversized
from argosy.ingest.record import RECORD_LINES_MAX, EndRecord, IngestRecord, LinesRecord, SealedLines, decode
from argosy.logs.open import ensure_topic
from argosy.logs.topic import ingest_topic
from argosy.seal.lines import opened_lines
from argosy.seal.master import MasterKeys
from argosy.store.ingest import Jobs
from argosy.store.pool import Pool
from argosy.store.sealing import seal_payloads
from argosy.workers.dispatch import uploads as uploads_module
from argosy.workers.dispatch.uploads import Uploads


@pytest.fixture
async def settings(database: str) -> Settings:
    settings = config.load({"STATE_DB_URI": database, "PAYLOAD_SIZE_BYTES_MAX": "1000000"})
    await ensure_topic(settings, database, ingest_topic(settings))
    return settings


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[Pool]:
    pool = Pool(settings.state_db_uri, 4, 30.0)
    yield pool
    await pool.close()


async def records_of(dsn: str, job_id: uuid.UUID) -> list[IngestRecord]:
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "argosy"})
    rows = await connection.fetch("SELECT value FROM log_records WHERE key = $1 ORDER BY position", job_id.bytes)
    await connection.close()
    return [decode(row["value"]) for row in rows]


async def test_a_turns_upload_is_digested_once_and_its_records_have_no_more_lines_than_a_gateways(
    settings: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines, digested = [b"{}"] * (3 * RECORD_LINES_MAX + 5), 0

    def counted(before: bytes, part: list[bytes]) -> bytes:
        nonlocal digested
        digested += len(part)
        return chain_of(before, part)

    monkeypatch.setattr(uploads_module, "chain_of", counted)
    uploads = Uploads(settings, settings.state_db_uri, pool, SystemClock())

    job_id = await uploads.start("acme", "crm", uuid.uuid4(), lines, "turn/key")
    await uploads.close()

    *records, end = await records_of(settings.state_db_uri, job_id)
    row = await Jobs(pool).find(job_id, "acme")
    counts = [each.line_count for each in records if isinstance(each, LinesRecord)]
    assert (counts, digested) == ([RECORD_LINES_MAX] * 3 + [5], len(lines))
    assert isinstance(end, EndRecord)
    assert row is not None
    assert (end.line_count, end.chain) == (row.end_line, row.end_chain) == (len(lines), chain_of(EMPTY, lines))


async def test_a_line_that_is_too_long_is_in_the_log_as_one_that_will_be_refused(
    settings: Settings, pool: Pool
) -> None:
    short = settings.model_copy(update={"ingest_line_size_bytes_max": 1_000})
    uploads = Uploads(short, settings.state_db_uri, pool, SystemClock())
    lines = [b"{}", b"x" * 1_001, b"y" * 1_000]

    job_id = await uploads.start("acme", "crm", uuid.uuid4(), lines, "turn/key")
    await uploads.close()

    first, *_ = await records_of(settings.state_db_uri, job_id)
    assert isinstance(first, LinesRecord)
    short_line, long_line, just_fits = first.lines.split(b"\n")[:3]
    assert (short_line, just_fits) == (b"{}", b"y" * 1_000)
    assert oversized(long_line) == OversizedLine(1_001, b"x" * START_SIZE_BYTES_MAX)


async def test_what_a_turn_uploads_is_sealed_in_the_log(settings: Settings, pool: Pool) -> None:
    seal_payloads(pool, MasterKeys([b"1" * 32], None, 1.0), SystemClock(), settings)
    uploads = Uploads(settings, settings.state_db_uri, pool, SystemClock())

    job_id = await uploads.start("acme", "crm", uuid.uuid4(), [b'{"said": "swordfish"}', b"{}"], "turn/key")
    await uploads.close()

    lines, end = await records_of(settings.state_db_uri, job_id)
    assert isinstance(lines, SealedLines)
    assert isinstance(end, EndRecord)
    assert (await opened_lines(pool.seals, lines)).lines == b'{"said": "swordfish"}\n{}'
