"""What an erasure waits for is said: who has to run, since when, in its status, in the log and as metrics."""

from datetime import UTC, datetime
from typing import Any

from structlog.testing import capture_logs

from argosy import telemetry
from argosy.erasure import ErasureKind, Stage, late_words, unread_words
from argosy.ids import session_id_of
from argosy.ingest.job import LANE as INGEST_LANE
from argosy.log import Identity
from argosy.store.lane_log import LaneLogs
from tests.harness.metrics import value_of
from tests.maintenance.forgetful import MARKER, Forgetful
from tests.store.hand import LANE, TENANT, New

AT = datetime(2026, 11, 30, 18, 3, 11, 250_000, tzinfo=UTC)
READ = "UPDATE positions SET accepted_through = $1 RETURNING 1"
UPLOADS = Identity("cluster", "uploads", 2)
DISPATCH = "lane default, by a dispatch worker of it (`argosy worker dispatch`)"
INGEST = "uploads, by an ingest worker (`argosy worker ingest`)"
CAME_BEFORE = "records that came before are still to be read: "


def waiting() -> float:
    """How many wait; a leader that steps down drops the child, so it is asked for anew."""
    return value_of(telemetry.ERASURES_WAITING.labels(stage="reading"))


def said(logs: list[Any]) -> list[tuple[str, str, str]]:
    return [(each["event"], each["stage"], each["waits_for"]) for each in logs if each["event"].startswith("erasure.")]


async def quiet_for(forgetful: Forgetful, seconds: float) -> None:
    """As if nothing had changed for so long."""
    await forgetful.hand.rows(
        "UPDATE erasures SET changed_at = changed_at - make_interval(secs => $1) RETURNING 1", seconds
    )


def test_the_words_are_the_same_as_long_as_nothing_is_read() -> None:
    words = unread_words([(INGEST_LANE, None), (LANE, AT)])

    assert words == f"{CAME_BEFORE}{INGEST}, never read; {DISPATCH}, read up to 2026-11-30 18:03:11 UTC"
    assert late_words(Stage.READING, words, AT, 600) == (
        f"{words}; nobody has read there since 2026-11-30 18:03:11 UTC, for longer than ERASURE_LATE_S (600 s)"
    )


async def test_a_lane_that_nobody_reads_is_named_with_who_has_to_run_and_since_when(forgetful: Forgetful) -> None:
    await forgetful.hand.rows(READ, AT)
    erasure = await forgetful.ask(ErasureKind.SESSION, MARKER)

    with capture_logs() as logs:
        row = await forgetful.tick(erasure, ticks=3)

    waits_for = f"{CAME_BEFORE}{DISPATCH}, read up to 2026-11-30 18:03:11 UTC"
    assert (row.stage, row.waits_for) == (Stage.READING, waits_for)
    assert said(logs) == [("erasure.waits", "reading", waits_for)]  # once
    assert waiting() == 1


async def test_one_that_waits_for_longer_than_the_bound_says_so_once_until_somebody_reads(forgetful: Forgetful) -> None:
    await forgetful.hand.rows(READ, AT)
    erasure = await forgetful.ask(ErasureKind.SESSION, MARKER)
    row = await forgetful.tick(erasure)
    await quiet_for(forgetful, 590)
    with capture_logs() as early:
        await forgetful.tick(erasure)
    await quiet_for(forgetful, 20)

    with capture_logs() as late:
        after = await forgetful.tick(erasure, ticks=3)

    assert said(early) == []
    ((event, stage, waits_for),) = said(late)
    assert (event, stage) == ("erasure.late", "reading")
    assert waits_for.startswith(f"{row.waits_for}; nobody has read there since ")
    assert after.waits_for == row.waits_for  # so that the time since when it waits stays
    assert 610 <= value_of(telemetry.ERASURES_WAITING_S) < 700

    await forgetful.is_read()
    assert (await forgetful.tick(erasure)).stage is Stage.DONE
    await forgetful.tick(erasure)
    assert (waiting(), value_of(telemetry.ERASURES_WAITING_S)) == (0, 0)


async def test_where_somebody_reads_nothing_is_late_however_far_behind_that_is(forgetful: Forgetful) -> None:
    await forgetful.hand.rows(READ, AT)
    erasure = await forgetful.ask(ErasureKind.SESSION, MARKER)
    await forgetful.tick(erasure)
    await quiet_for(forgetful, 700)
    await forgetful.hand.rows(READ, AT.replace(minute=4))

    with capture_logs() as logs:
        row = await forgetful.tick(erasure, ticks=2)

    assert row.waits_for.endswith("read up to 2026-11-30 18:04:11 UTC")
    assert row.quiet_s < 60
    assert said(logs) == []


async def test_a_graph_waits_for_ingest_workers_and_a_tenant_for_all_that_read(forgetful: Forgetful) -> None:
    await LaneLogs(forgetful.pool, INGEST_LANE).set(UPLOADS, "ingest", None)
    await forgetful.hand.rows(READ, AT)
    graph = await forgetful.ask(ErasureKind.GRAPH, MARKER)
    tenant = await forgetful.ask(ErasureKind.TENANT, key="tenant")

    rows = [await forgetful.tick(each) for each in (graph, tenant)]

    assert [row.waits_for for row in rows] == [
        f"{CAME_BEFORE}{INGEST}, never read",
        f"{CAME_BEFORE}{INGEST}, never read; {DISPATCH}, read up to 2026-11-30 18:03:11 UTC",
    ]
    assert waiting() == 2


async def test_turns_that_others_started_are_waited_for_by_their_lane(forgetful: Forgetful) -> None:
    to = New(MARKER)
    erasure = await forgetful.ask(ErasureKind.SESSION, MARKER)
    await forgetful.is_read()
    await forgetful.hand.rows(
        "INSERT INTO starts (turn_id, lane, bucket, tenant, session_id, record, sent_at)"
        " SELECT $1, 'other', $2, $3, $4, '', asked_at - interval '1 s' FROM erasures RETURNING 1",
        to.turn_id, to.bucket, TENANT, session_id_of(TENANT, LANE, MARKER),
    )  # fmt: skip

    row = await forgetful.tick(erasure)

    assert row.waits_for.startswith(f"{CAME_BEFORE}lane other, by a dispatch worker of it")
