"""SQL has the words of the code: states of turns, types of events, kinds and states of rows.

SQL cannot import them, and its partial indexes are used only where their list stands in the statement. So it has the
words themselves, and here they are compared: each one, and each list, is one that argosy/turn has a name for.
"""

import itertools
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

import pytest

from argosy import store
from argosy.erasure import WITH_JOBS, WITH_SESSIONS, ErasureKind
from argosy.identity.tenant import TenantState
from argosy.ingest.job import JobEventType, JobFailure, JobKind, JobState, WaitsFor
from argosy.life import LOG_READERS, ProcessKind
from argosy.store.backup import BackupKeys
from argosy.store.graph import GraphRowState, ShardState
from argosy.store.ingest_notes import Verdict
from argosy.store.move import CANCELLABLE, SERVED, STALLED, MoveState, PlanKind, PlanState
from argosy.store.queries import load_queries
from argosy.store.shards import Added, Asked, Removal
from argosy.turn import inbox
from argosy.turn.events import SETTLED_OUTCOMES, STEP_EVENTS, Event
from argosy.turn.inbox import EARLY, KEPT_FOR_TURN, START, Fate, RowKind, RowState, TimerName, queue_of
from argosy.turn.status import ACTIVE, ENDED, HELD, OPEN, RESTING, Status
from argosy.workers.dispatch.lateness import ExpiredRecordError
from tests.store.hand import Hand
from tests.store.reachable import reachable

STORE: Final = Path(store.__file__).parent
FILES: Final = {each: each.read_text() for each in (*STORE.glob("*.sql"), *STORE.glob("functions/*.sql"))}

WORDS: Final[dict[str, Collection[str]]] = {
    "status": set(Status),
    "old_status": set(Status),
    "type": set(Event),
    "kind": {*RowKind, START, *ProcessKind, *JobKind, *PlanKind, *ErasureKind},
    "state": {*RowState, *ShardState, *GraphRowState, *JobState, *MoveState, *PlanState, *TenantState},
    "moved_to": set(Fate),
}
# Named lists. Two have a name here alone: how turns end for which a flush looks for no rows, and the states of signals
# that clients are shown.
LISTS: Final[dict[str, list[Collection[str]]]] = {
    "status": [OPEN, HELD, ENDED, ACTIVE, RESTING, {Status.COMPLETED, Status.FAILED}],
    "type": [STEP_EVENTS, SETTLED_OUTCOMES],
    "kind": [KEPT_FOR_TURN, LOG_READERS, WITH_SESSIONS, WITH_JOBS],
    "state": [inbox.OPEN, set(RowState) - {RowState.CONSUMED}, STALLED, SERVED, CANCELLABLE],
}
OTHER_WORDS: Final = {
    *("enqueue", "reject", "busy", "idempotency_mismatch", "reason"),  # of requests, and why a turn is rejected
    *("places", "log_records"),  # sequences
    *("transaction_isolation", "lock_timeout", "advisory", "serialization_failure"),  # of PostgreSQL
    *("anything", "argosy_fleet", "x"),
    *JobKind, *JobState, *JobEventType, *JobFailure, *WaitsFor, *Verdict,
    # What events of jobs and their ends have.
    *("for", "lines", "from_line", "code", "reason", "applied", "rejected", "rate_lines_s", "job_id", "status"),
    *("job.", "ingest", "cancelled on request", "superseded"),
    *ErasureKind,
    # What receipts say: where it was, and what it was.
    *("postgres", "shards", "turns", "events", "sessions", "graphs", "nodes", "edges", "jobs", "rejects", "records"),
    *("erased", "hex"),
    *("infinity", "on", "argosy.purges_audit"),
    *(*TenantState, "tenant.erased", "role", "erase", "tokens", "reading"),
    ExpiredRecordError.code,
    *BackupKeys,
}  # fmt: skip
_COLUMN: Final = "|".join(WORDS)
_ONE: Final = re.compile(rf"\b(?:p_)?({_COLUMN})\s*(?:=|<>)\s*'([^']*)'")
_LIST: Final = re.compile(rf"\b({_COLUMN})\s+(?:NOT\s+)?IN\s*\(\s*('[^)]*)\)")
_SHOWN_LIST: Final = re.compile(r"\(?(\w+)\)?(?:::text)? (?:= ANY|<> ALL) \(\(?ARRAY\[([^\]]*)\]")


def _literals(text: str) -> set[str]:
    return set(re.findall(r"'([^']*)'", text))


def _found(pattern: re.Pattern[str]) -> Iterator[tuple[str, str, set[str]]]:
    for file, text in FILES.items():
        for column, words in pattern.findall(re.sub(r"--[^\n]*", "", text)):
            yield file.name, column, _literals(words) or {words}


def test_each_word_of_sql_is_one_of_the_code() -> None:
    found = list(_found(_ONE))

    assert len(found) > 15
    assert [each for each in found if not each[2] <= set(WORDS[each[1]])] == []


def test_what_sql_inserts_is_a_word_of_the_code() -> None:
    """Values have no column beside them: each bare word of a function is one of the code, or stands below."""
    of_turns = {*Status, *Event, *RowKind, START, *RowState, *Fate, *TimerName}
    of_graphs = {*GraphRowState, *ShardState, *MoveState, *PlanState, *PlanKind, *Added, *Removal, *Asked}
    known = of_turns | of_graphs | OTHER_WORDS
    functions = [re.sub(r"--[^\n]*", "", text) for file, text in FILES.items() if file.parent.name == "functions"]

    assert {each for text in functions for each in _literals(text) if re.fullmatch(r"[a-z_.]+", each)} - known == set()


def test_each_list_of_sql_has_a_name_in_the_code() -> None:
    found = list(_found(_LIST))

    assert len(found) > 15
    assert [each for each in found if each[2] not in LISTS[each[1]]] == []


@pytest.mark.parametrize(
    ("name", "column", "expected"),
    [
        ("turns_status_check", "status", [set(Status) - {Status.ACCEPTED}]),
        ("turns_check", "status", [ENDED]),
        ("turns_check1", "status", [{Status.MERGED, Status.DUPLICATE}]),
        ("turns_check2", "status", [HELD]),
        ("turns_held", "status", [HELD]),
        ("turns_open", "status", [OPEN]),
        ("events_once", "type", [SETTLED_OUTCOMES]),
        ("inbox_kind_check", "kind", [set(RowKind)]),
        ("inbox_state_check", "state", [set(RowState)]),
        ("early_kind_check", "kind", [EARLY]),
        ("shards_state_check", "state", [set(ShardState)]),
        ("graphs_state_check", "state", [set(GraphRowState)]),
        ("ingest_jobs_kind_check", "kind", [set(JobKind)]),
        ("ingest_jobs_state_check", "state", [set(JobState)]),
        ("graph_moves_state_check", "state", [set(MoveState)]),
        ("shard_plans_state_check", "state", [set(PlanState)]),
        ("shard_plans_kind_check", "kind", [set(PlanKind)]),
        ("tenants_state_check", "state", [set(TenantState) - {TenantState.DELETED}]),
    ],
)
async def test_each_list_of_the_schema_is_one_of_the_code(
    hand: Hand, name: str, column: str, expected: list[set[str]]
) -> None:
    rows = await hand.rows(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = $1"
        " UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'argosy' AND indexname = $1",
        name,
    )

    found = [(column, _literals(words)) for row in rows for column, words in _SHOWN_LIST.findall(row[0])]
    assert found == [(column, set(each)) for each in expected]


async def test_the_queues_of_due_rows_are_those_of_the_code(hand: Hand) -> None:
    rows = list(itertools.product(RowKind, ["", *TimerName, "sleep"]))
    index = await hand.rows("SELECT indexdef FROM pg_indexes WHERE indexname = 'inbox_queues'")

    for text in (index[0][0], load_queries("head")["due_inbox"]):
        case = re.findall(r"CASE\s+WHEN\s+\(?(?:b\.)?kind\b.*?\bEND\b", text, re.S)
        assert len(case) == 1
        query = f"SELECT {case[0]} FROM unnest($1::text[], $2::text[]) AS b (kind, name)"  # noqa: S608
        assert await hand.rows(query, *zip(*rows, strict=True)) == [(queue_of(*row),) for row in rows]


@pytest.mark.parametrize("before", sorted(set(Status) - {Status.ACCEPTED}))
async def test_the_database_knows_the_transitions_of_the_code(hand: Hand, before: Status) -> None:
    rows = await hand.rows(
        "SELECT after FROM unnest($1::text[]) AS after WHERE may_become($2, after)", list(Status), before
    )

    assert {row[0] for row in rows} == set(reachable(before))


async def test_the_database_knows_which_states_are_ends(hand: Hand) -> None:
    rows = await hand.rows("SELECT status FROM unnest($1::text[]) AS status WHERE has_ended(status)", list(Status))

    assert {row[0] for row in rows} == set(ENDED)
