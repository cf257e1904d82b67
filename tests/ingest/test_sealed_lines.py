"""Lines that stand sealed in the log: opened where they are sent to their graph, once, or waited for."""

import asyncio
import uuid

import msgspec
import pytest

from argosy.ingest.chain import EMPTY, chain_of
from argosy.ingest.job import WaitsFor
from argosy.ingest.record import EndRecord, LinesRecord, SealedLines, encode, join_lines
from argosy.seal.codec import PLAIN
from argosy.seal.errors import KeysUnavailableError, PayloadUnreadableError
from argosy.seal.lines import opened_lines, sealed_lines
from argosy.store.ingest_notes import Verdict
from tests.ingest.sealing import HandCodec
from tests.ingest.world import World

WORD = b"swordfish"
LINES = [b'{"n": %d, "said": "%s"}' % (number, WORD) for number in range(7)]
RECORD = LinesRecord(uuid.UUID(int=1).bytes, "acme", "crm", bytes(16), 1, 3, 7, EMPTY, join_lines(LINES))


async def upload(world: World, job: int, sealed_as: str = "acme") -> uuid.UUID:
    """Read the records of a whole upload, with sealed lines. sealed_as: the tenant whose they are taken for."""
    job_id, before = uuid.UUID(int=job), EMPTY
    for first in range(0, len(LINES), 3):
        part = LINES[first : first + 3]
        record = LinesRecord(
            job_id.bytes, sealed_as, "crm", bytes(16), 1, first + 1, len(part), before, join_lines(part)
        )
        found = await sealed_lines(HandCodec(), record)
        world.read(msgspec.structs.replace(found, tenant="acme"))
        before = chain_of(before, part)
    world.read(EndRecord(job_id.bytes, "acme", "crm", bytes(16), 1, len(LINES), before))
    return job_id


def waits_of(world: World) -> set[WaitsFor | None]:
    """What jobs were said to wait for."""
    return {each.waits_for for note in world.notes.said for each in note.jobs}


async def sealed() -> SealedLines:
    found = await sealed_lines(HandCodec(), RECORD)
    assert isinstance(found, SealedLines)
    return found


async def test_sealed_lines_open_as_they_were_and_say_nothing() -> None:
    found = await sealed()

    assert WORD not in encode(found)
    assert await opened_lines(HandCodec(), found) == RECORD


async def test_without_keys_lines_stay_as_they_are() -> None:
    assert await sealed_lines(PLAIN, RECORD) is RECORD


@pytest.mark.parametrize("moved", [{"job_id": bytes(16)}, {"first_line": 4}, {"tenant": "globex"}])
async def test_lines_open_nowhere_but_in_their_place(moved: dict[str, object]) -> None:
    with pytest.raises(PayloadUnreadableError):
        await opened_lines(HandCodec(), msgspec.structs.replace(await sealed(), **moved))


async def test_lines_that_are_fewer_than_their_record_says_are_not_taken() -> None:
    with pytest.raises(PayloadUnreadableError, match="has 7 lines, and says 6"):
        await opened_lines(HandCodec(), msgspec.structs.replace(await sealed(), line_count=6))


async def test_what_was_sealed_is_applied_line_by_line_as_all_else() -> None:
    codec = HandCodec()
    codec.errors = [KeysUnavailableError("the KMS is away") for _ in range(2)]
    async with World() as world:
        world.jobs.seals = codec
        job = await upload(world, 1)
        await world.until_noted()

    assert world.graphs.graphs["crm"].lines == LINES
    assert world.notes.states[job] == "done"


async def test_a_worker_without_keys_leaves_lines_to_an_operator_and_goes_on_once_it_has_them() -> None:
    async with World() as world:
        await upload(world, 1)
        async with asyncio.timeout(10):
            while WaitsFor.OPERATOR not in waits_of(world):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert world.notes.states == {}
        world.jobs.seals = HandCodec()
        await world.until_noted()

    assert world.graphs.graphs["crm"].lines == LINES


async def test_a_job_whose_lines_do_not_open_any_more_fails_and_others_go_on() -> None:
    async with World() as world:
        world.jobs.seals = HandCodec()
        job, other = await upload(world, 1, sealed_as="globex"), await upload(world, 2)
        await world.until_noted()

    assert (world.notes.states[job], world.notes.states[other]) == ("failed", "done")
    failed = {each.code for note in world.notes.said for each in note.jobs if each.verdict is Verdict.FAILED}
    assert failed == {"payload_unreadable"}
    assert world.graphs.graphs["crm"].lines == LINES
