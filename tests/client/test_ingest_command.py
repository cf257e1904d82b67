"""What `argosy graph ingest` does with files, on a server that answers as a test says."""

import asyncio
import io
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from argosy.cli.ingest_watch import ingest_files
from argosy.errors import SettingError
from tests.client.scripted import BROKEN, Said, Scripted, answer, problem
from tests.client.test_uploading import DONE, JOB, LINES, NO_JOB, TEXT, found, job, uploads


@pytest.fixture
async def server() -> AsyncIterator[Scripted]:
    async with Scripted() as server:
        yield server


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "things.ndjson").write_bytes(TEXT)
    return tmp_path / "things.ndjson"


def ended(status: str, **members: object) -> Said:
    return answer(200, **job(10, lines=10, is_uploaded=True, status=status, **members))


async def ingest(server: Scripted, *files: Path, rejects: Path | None = None, is_waited_for: bool = True) -> int:
    return await asyncio.to_thread(
        lambda: ingest_files(
            [server.url], "default", "g", files, key=None, is_waited_for=is_waited_for, rejects_file=rejects
        )
    )


async def test_a_file_is_uploaded_and_waited_for(
    server: Scripted, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.will_say(NO_JOB, DONE, answer(200, **job(10)), ended("done", applied=10))

    assert await ingest(server, file) == 0

    assert capsys.readouterr().out == f"{file}: done, 10 lines, 10 applied, 0 rejected (job {JOB})\n"
    assert uploads(server) == [("/v1/graphs/g/ingest", TEXT)]


async def test_what_was_refused_goes_to_a_file_and_is_no_success(server: Scripted, file: Path) -> None:
    refused = [{"line": 3, "partition": 0, "code": "c", "reason": "r", "start": "x"}]
    lines = Said(200, "".join(json.dumps(each) + "\n" for each in refused).encode(), {"content-type": "text"})
    server.will_say(NO_JOB, DONE, ended("done", applied=9, rejected=1), lines)

    assert await ingest(server, file, rejects=file.parent / "rejects") == 1

    assert [json.loads(line) for line in (file.parent / "rejects").read_text().splitlines()] == refused


async def test_the_same_command_again_goes_on_for_the_one_before(server: Scripted, file: Path) -> None:
    server.will_say(NO_JOB, DONE, ended("done"), found(4), DONE, ended("done"))

    for _ in range(2):
        assert await ingest(server, file) == 0

    (first, _), (second, body) = uploads(server)
    assert first == "/v1/graphs/g/ingest"
    assert second.startswith("/v1/graphs/g/ingest?after_line=4&")
    assert body == b"".join(line + b"\n" for line in LINES[4:])
    keys = {asked.headers["idempotency-key"] for asked in server.asked if asked.method == "POST"}
    assert len(keys) == 1


async def test_a_file_that_changed_is_another_upload(server: Scripted, file: Path) -> None:
    server.will_say(NO_JOB, DONE, ended("done"), NO_JOB, DONE, ended("done"))

    await ingest(server, file)
    os.utime(file, ns=(0, 0))
    await ingest(server, file)

    assert len({asked.headers["idempotency-key"] for asked in server.asked if asked.method == "POST"}) == 2


async def test_a_gateway_that_breaks_meanwhile_is_asked_again(server: Scripted, file: Path) -> None:
    server.will_say(NO_JOB, BROKEN, found(4), DONE, BROKEN, problem(503, "x", is_retryable=True), ended("done"))
    assert await ingest(server, file) == 0


async def test_a_job_that_failed_is_no_success_and_says_why(
    server: Scripted, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.will_say(NO_JOB, DONE, ended("failed", code="expired", reason="too \x1b[31mold"))

    assert await ingest(server, file) == 1

    assert "failed" in (said := capsys.readouterr().out)
    assert "\x1b" not in said


async def test_who_does_not_wait_gets_the_job(server: Scripted, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server.will_say(NO_JOB, DONE, answer(200, **job(10)))
    assert await ingest(server, file, is_waited_for=False) == 0
    assert "running, 10 lines" in capsys.readouterr().out


async def test_lines_come_from_stdin(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT)))
    server.will_say(NO_JOB, DONE, ended("done"))

    assert await ingest(server, Path("-")) == 0

    assert uploads(server) == [("/v1/graphs/g/ingest", TEXT)]


async def test_a_key_is_for_one_file(server: Scripted, file: Path) -> None:
    with pytest.raises(SettingError, match="one file"):
        ingest_files([server.url], "t", "g", [file, file], key="k", is_waited_for=True, rejects_file=None)


async def test_that_no_worker_applies_it_is_said_once(
    server: Scripted, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    waits = answer(200, **job(10, lines=10, is_uploaded=True, waits_for="worker"))
    server.will_say(NO_JOB, DONE, waits, waits, ended("done", applied=10))

    assert await ingest(server, file) == 0

    assert " ".join(capsys.readouterr().err.split()).count("no ingest worker runs") == 1
