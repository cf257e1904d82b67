"""Uploads of the client go on where they got to, whatever breaks, on a server that answers as a test says."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from argosy import AsyncClient, Client
from argosy.client import Job, JobError, ProblemError, source_of
from argosy.client.source import BEGIN, Place, blocks_of, place_behind
from argosy.errors import CallerError
from argosy.ingest.chain import EMPTY, chain_of
from tests.client.scripted import BROKEN, Said, Scripted, answer, problem

LINES = [b'{"n": %d}' % number for number in range(10)]
TEXT = b"".join(line + b"\n" for line in LINES)
JOB = "01234567-89ab-8cde-8f01-23456789abcd"
NO_JOB = answer(200, jobs=[], next=None)


def chain(count: int) -> str:
    return chain_of(EMPTY, LINES[:count]).hex()


def job(received: int, **members: Any) -> dict[str, Any]:
    shown = {"job_id": JOB, "graph": "g", "status": "running", "received_lines": received, "chain": chain(received)}
    return shown | members


def found(received: int, **members: Any) -> Said:
    return answer(200, jobs=[job(received, **members)], next=None)


DONE = answer(202, **job(10, is_uploaded=True, lines=10))


@pytest.fixture
async def server() -> AsyncIterator[Scripted]:
    async with Scripted() as server:
        yield server


async def ingest(server: Scripted, source: Any, *, is_async: bool = True, **given: Any) -> str:
    if is_async:
        async with AsyncClient(server.url, retry_s=5) as client:
            return (await client.ingest("g", source, **given)).job_id
    with Client(server.url, retry_s=5) as client:
        return (await asyncio.to_thread(client.ingest, "g", source, **given)).job_id


def uploads(server: Scripted) -> list[tuple[str, bytes]]:
    return [(asked.path, asked.body) for asked in server.asked if asked.method == "POST"]


@pytest.mark.parametrize("is_async", [True, False], ids=["async", "sync"])
async def test_an_upload_that_breaks_goes_on_behind_what_the_log_has(server: Scripted, is_async: bool) -> None:
    server.will_say(BROKEN, found(4), problem(503, "log_unavailable", is_retryable=True), found(7), DONE)

    assert await ingest(server, TEXT, is_async=is_async) == JOB

    assert uploads(server) == [
        ("/v1/graphs/g/ingest", TEXT),
        (f"/v1/graphs/g/ingest?after_line=4&chain={chain(4)}", b"".join(line + b"\n" for line in LINES[4:])),
        (f"/v1/graphs/g/ingest?after_line=7&chain={chain(7)}", b"".join(line + b"\n" for line in LINES[7:])),
    ]
    assert len({asked.headers["idempotency-key"] for asked in server.asked if asked.method == "POST"}) == 1


async def test_an_upload_that_another_one_overtook_goes_on_behind_that(server: Scripted) -> None:
    server.will_say(BROKEN, found(4), problem(409, "upload_moved"), found(7), DONE)

    await ingest(server, TEXT)

    assert [path.partition("&")[0] for path, _ in uploads(server)][1:] == [
        "/v1/graphs/g/ingest?after_line=4",
        "/v1/graphs/g/ingest?after_line=7",
    ]


async def test_a_new_process_with_the_key_of_one_that_died_goes_on_for_it(server: Scripted) -> None:
    server.will_say(found(4), DONE)

    await ingest(server, TEXT, key="k")

    assert server.asked[0].path == "/v1/graphs/g/ingest?key=k"
    assert len(uploads(server)) == 1
    assert uploads(server)[0][0].startswith("/v1/graphs/g/ingest?after_line=4&")


async def test_what_is_in_the_log_already_is_not_sent_again(server: Scripted) -> None:
    server.will_say(found(10, is_uploaded=True, lines=10))

    assert await ingest(server, TEXT, key="k") == JOB

    assert uploads(server) == []


@pytest.mark.parametrize(
    "said",
    [found(4, chain="0" * 32), found(20, chain="1" * 32), found(9, is_uploaded=True, lines=9), NO_JOB],
    ids=["others", "more", "less", "none"],
)
async def test_whether_other_contents_have_the_key_is_for_the_gateway_to_say(server: Scripted, said: Said) -> None:
    server.will_say(said, problem(422, "idempotency_mismatch"))

    with pytest.raises(ProblemError, match="idempotency_mismatch"):
        await ingest(server, TEXT, key="k")

    assert uploads(server) == [("/v1/graphs/g/ingest", TEXT)]


async def test_a_graph_that_is_not_there_yet_has_no_job(server: Scripted) -> None:
    server.will_say(problem(404, "graph_not_found"), DONE)
    assert await ingest(server, TEXT, key="k") == JOB


async def test_a_job_that_was_cancelled_is_not_sent_again(server: Scripted) -> None:
    server.will_say(found(4, status="cancelled"))
    assert await ingest(server, TEXT, key="k") == JOB


@pytest.mark.parametrize("is_async", [True, False], ids=["async", "sync"])
async def test_who_waits_for_a_job_gets_it_when_it_is_done_and_else_an_error(server: Scripted, is_async: bool) -> None:
    done, failed = job(10, status="done"), job(4, status="failed", code="expired", reason="too old")
    server.will_say(answer(200, **job(4)), answer(200, **done), answer(200, **failed))

    async def wait() -> Job:
        if is_async:
            async with AsyncClient(server.url) as client:
                return await client.job(JOB).wait(timeout_s=30)
        with Client(server.url) as client:
            return await asyncio.to_thread(client.job(JOB).wait, timeout_s=30)

    assert (await wait()).status == "done"
    with pytest.raises(JobError, match="failed: too old"):
        await wait()


def test_files_are_sent_as_what_they_are(tmp_path: Path) -> None:
    sent = {}
    for name in ("a.ndjson", "a.json", "a.md", "a.txt.gz", "a.jsonl.gz", "a"):
        (tmp_path / name).write_bytes(b"")
        source = source_of(tmp_path / name)
        sent[name] = (source.headers["content-type"], "content-encoding" in source.headers, bool(source.document_id))

    assert sent == {
        "a.ndjson": ("application/x-ndjson", False, False),
        "a.json": ("application/json", False, False),
        "a.md": ("text/markdown", False, True),
        "a.txt.gz": ("text/plain", True, True),
        "a.jsonl.gz": ("application/x-ndjson", True, False),
        "a": ("application/x-ndjson", False, False),
    }


def test_a_place_in_a_source_is_that_of_a_line(tmp_path: Path) -> None:
    text = b"\xef\xbb\xbfone\r\ntwo\n\nlast"
    (tmp_path / "plain").write_bytes(text)
    (tmp_path / "packed.gz").write_bytes(gzip.compress(text))
    lines = [b"one", b"two", b"", b"last"]
    rests = {0: text, 1: b"two\n\nlast", 2: b"\nlast", 3: b"last", 4: b""}

    for source in (source_of(text), source_of(tmp_path / "plain"), source_of(tmp_path / "packed.gz")):
        for line, rest in rests.items():
            place = place_behind(source, line)
            assert (place.line, place.chain) == (line, chain_of(EMPTY, lines[:line]))
            if line:
                assert b"".join(blocks_of(source, place)) == rest
        assert place_behind(source, None) == place_behind(source, 9) == place
    assert b"".join(blocks_of(source_of(tmp_path / "packed.gz"), BEGIN)) == (tmp_path / "packed.gz").read_bytes()


def test_operations_are_spooled_so_that_they_can_be_sent_again() -> None:
    source = source_of(iter([{"op": "delete_node", "id": "a"}, b"{}\n", b"x"]))

    for _ in range(2):
        assert b"".join(blocks_of(source, BEGIN)) == b'{"op":"delete_node","id":"a"}\n{}\nx\n'
    assert place_behind(source, 2) == Place(2, 33, place_behind(source, 2).chain)


@pytest.mark.parametrize("given", [7, None, {"op": "delete_node"}])
def test_what_is_no_source_is_refused(given: Any) -> None:
    with pytest.raises(CallerError, match="cannot be uploaded"):
        source_of(given)
