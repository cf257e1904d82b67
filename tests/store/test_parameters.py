"""What the code sends to the SQL functions is what they take, in order; and the functions are those of the files."""

import re
import uuid
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any

import pytest

from argosy import ids, record
from argosy.errors import RecordError
from argosy.identity.turn_principal import LOCAL
from argosy.log import Record
from argosy.record import TurnRequested
from argosy.store import migrate as module
from argosy.store.migrate import functions, migrate, migrations
from argosy.store.parameters import ACCEPT, FLUSH, Group, names_of
from argosy.store.pool import connect
from argosy.store.queries import load_queries
from argosy.turn.events import Event
from argosy.turn.inbox import Fate, RowKind
from argosy.turn.status import Status
from argosy.workers.dispatch.accept.accept_arrays import AcceptArrays
from argosy.workers.dispatch.flush.flush_entry import FlushArrays, FlushEntry
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.turn import Turn
from argosy.workers.dispatch.writes import Address, InboxWrite

CREATED = re.compile(r"^CREATE OR REPLACE FUNCTION (\w+)\(", re.MULTILINE)
FUNCTIONS = """
  SELECT p.proname, pg_get_function_identity_arguments(p.oid), p.prosrc, p.proconfig::text, p.provolatile::text
  FROM pg_proc AS p WHERE p.pronamespace = 'argosy'::regnamespace ORDER BY 1, 2
"""
# Several commands in one text, which cannot be prepared.
SEVERAL = ("create_table", "complete_session", "begin_restore", "make_keys", "settle_restored")
EXTENSION = ("list_slowest",)  # reads a view that an extension brings
PARTITION, EPOCH, PARTITION_COUNT = 2, 41, 4
DUE = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)


@pytest.fixture
async def connection(any_database: str) -> AsyncIterator[Any]:
    connection = await connect(any_database)
    yield connection
    await connection.close()


@pytest.mark.parametrize(("function", "groups"), [("flush", FLUSH), ("accept", ACCEPT)])
async def test_the_statement_hands_each_argument_to_its_parameter(
    function: str, groups: Mapping[str, Group], connection: Any
) -> None:
    names, types = await connection.fetchrow(
        "SELECT proargnames, proargtypes::oid[] FROM pg_proc"
        " WHERE pronamespace = 'argosy'::regnamespace AND proname = $1 ORDER BY pronargs DESC LIMIT 1",
        function,
    )
    statement = load_queries("flush")[function]

    assert names == names_of(groups)
    assert re.findall(r"\$(\d+)::", statement) == [str(n) for n in range(1, len(names) + 1)]
    assert [each.oid for each in (await connection.prepare(statement)).get_parameters()] == types


def an_owned() -> Owned:
    return Owned(PARTITION, EPOCH, (0, 1023))


def sent(groups: Mapping[str, Group], arguments: list[Any]) -> dict[str, list[Any]]:
    """What a call sends, by the name of the parameter; the worker and the number of the call are added later."""
    return {
        name: list(each) if isinstance(each, tuple | list) else each
        for name, each in zip(names_of(groups)[2:], arguments, strict=True)
    }


def test_a_flush_sends_each_value_under_the_name_of_its_parameter() -> None:
    owned = an_owned()
    turn = Turn(
        owned=owned, turn_id=uuid.uuid4(), tenant="acme", session_id=uuid.uuid4(), session_name="s", bucket=9, place=1,
        workflow="echo", priority=0, input=b"{}", status=Status.RUNNING, attempt=3, crashes=2, seq=7, version="v",
    )  # fmt: skip
    turn.trial, turn.result, turn.error, turn.waits, turn.reason = b"t", b"r", b"e", b"w", "why"
    turn.write(Event.STEP_COMPLETED, "key", b"data")
    turn.attempt = 4
    turn.become(Status.SUSPENDED)
    timer = InboxWrite(uuid.uuid4(), RowKind.TIMER, "sleep", "correlation", b"payload", 1.5)
    turn.inbox[timer.inbox_id] = timer
    to = Address("other", 77, uuid.uuid4(), uuid.uuid4())
    row = InboxWrite(uuid.uuid4(), RowKind.RESUME, "name", "", b"value", 2.5, to, "request")
    turn.address_row(row)
    moved, loose, placed = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
    turn.moves[moved] = Fate.CONSUMED
    arrays = FlushArrays("lane")

    arrays.add(FlushEntry(turn))
    arrays.add_move(owned, loose, "late")
    arrays.add_placement(owned, placed)

    assert sent(FLUSH, arrays.arguments()) == {
        "p_lane": "lane", "p_partitions": [PARTITION], "p_epochs": [EPOCH],
        "u_partition": [PARTITION], "u_turn": [turn.turn_id], "u_old_status": ["running"], "u_old_attempt": [3],
        "u_old_seq": [7], "u_status": ["suspended"], "u_attempt": [4], "u_seq": [8], "u_crashes": [2],
        "u_version": ["v"], "u_result": [b"r"], "u_error": [b"e"], "u_waits": [b"w"], "u_reason": ["why"],
        "u_trial": [b"t"],
        "e_index": [1], "e_seq": [8], "e_attempt": [3], "e_type": ["step.completed"], "e_key": ["key"],
        "e_data": [b"data"],
        "i_index": [1, 1], "i_id": [timer.inbox_id, row.inbox_id], "i_lane": [None, "other"], "i_bucket": [None, 77],
        "i_session": [None, to.session_id], "i_turn": [None, to.turn_id], "i_kind": ["timer", "resume"],
        "i_name": ["sleep", "name"], "i_correlation": ["correlation", ""], "i_request": [None, "request"],
        "i_payload": [b"payload", b"value"], "i_due_s": [1.5, 2.5],
        "x_index": [1, 0], "x_partition": [PARTITION, PARTITION], "x_id": [moved, loose], "x_to": ["consumed", "late"],
        "l_partition": [PARTITION], "l_turn": [placed],
    }  # fmt: skip


def a_request(session: str = "s") -> TurnRequested:
    bucket = ids.bucket_of(ids.session_id_of("acme", "lane", session))
    return TurnRequested(
        turn_id=ids.TurnIdMint("acme", "lane").mint(bucket).bytes, tenant="acme", lane="lane", session=session,
        workflow="echo", input=b"{}", on_busy="reject", priority=3, deadline_s=4.5, tags=b'["tag"]',
        idempotency_key="key", digest=b"d" * 16, not_before_ms=round(DUE.timestamp() * 1000),
        created_by=LOCAL,
    )  # fmt: skip


def test_an_accept_sends_each_value_under_the_name_of_its_parameter() -> None:
    asked = a_request()
    session_id = ids.session_id_of("acme", "lane", "s")
    bucket = ids.bucket_of(session_id)
    owned = Owned(ids.partition_of(bucket, PARTITION_COUNT), EPOCH, (0, 1023))
    owned.position = 17
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = (("traceparent", trace.encode()),)
    arrays = AcceptArrays("lane", "log", 100)

    arrays.add_partition(owned, 19, 5.0)
    turn = arrays.add(owned, Record(17, 0, None, record.encode(asked), headers), PARTITION_COUNT)
    arrays.add_dead_letter(owned, Record(18, 0, None, b"value", ()), RecordError("reason"))

    assert sent(ACCEPT, arrays.arguments()) == {
        "p_lane": "lane", "p_log": "log", "p_partitions": [owned.partition], "p_epochs": [EPOCH], "p_from": [17],
        "p_to": [19], "p_through": [datetime.fromtimestamp(5.0, UTC)],
        "t_partition": [owned.partition], "t_turn": [turn.turn_id], "t_tenant": ["acme"], "t_session": [session_id],
        "t_name": ["s"], "t_bucket": [bucket], "t_workflow": ["echo"], "t_input": [b"{}"], "t_on_busy": ["reject"],
        "t_priority": [3], "t_not_before": [DUE], "t_deadline_s": [4.5],
        "t_key": ["key"], "t_digest": [b"d" * 16], "t_tags": [b'["tag"]'], "t_trace": [trace], "t_created_by": [LOCAL],
        "d_partition": [owned.partition], "d_position": [18], "d_value": [b"value"], "d_code": ["undecodable_record"],
        "d_reason": ["reason"],
    }  # fmt: skip


async def test_every_statement_of_the_code_is_valid(connection: Any) -> None:
    files = [each.name for each in resources.files("argosy.store").iterdir() if each.name.endswith(".sql")]
    checked = 0
    for name in ("begin_restore", "make_keys"):  # its schema is there while one lasts
        await connection.execute(load_queries("backup")[name])
    for file in sorted(files):
        for name, statement in load_queries(file.removesuffix(".sql")).items():
            if name not in (*SEVERAL, *EXTENSION):
                await connection.prepare(statement)
                checked += 1

    assert checked > 100


async def test_no_function_has_a_text_that_the_files_do_not_have(connection: Any) -> None:
    in_files = sorted(name for file in functions() for name in CREATED.findall(file.text))

    assert [row[0] for row in await connection.fetch(FUNCTIONS)] == in_files


async def test_functions_are_the_same_after_every_step_from_an_old_schema(
    any_database: str, empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for through in ("0010", "0031"):
        with monkeypatch.context() as patch:
            patch.setattr(
                module, "migrations", lambda last=through: [each for each in migrations() if each.name < last]
            )
            patch.setattr(module, "functions", list)
            await migrate(empty_database)
    await migrate(empty_database)

    listed = []
    for dsn in (any_database, empty_database):
        connection = await connect(dsn)
        listed.append(await connection.fetch(FUNCTIONS))
        await connection.close()
    assert listed[0] == listed[1]


async def test_texts_that_are_applied_once_more_change_nothing(connection: Any) -> None:
    before = await connection.fetch(FUNCTIONS)

    async with connection.transaction():
        for file in functions():
            await connection.execute(file.text)

    assert await connection.fetch(FUNCTIONS) == before


def test_a_function_has_its_text_in_no_migration() -> None:
    """A migration that was released never changes, so its text of a function would be a second one for ever."""
    newer = [each for each in migrations() if each.name >= "0031"]

    assert newer
    assert [each.name for each in newer if re.search(r"CREATE\s+(OR\s+REPLACE\s+)?FUNCTION", each.text, re.I)] == []
