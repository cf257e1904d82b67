"""What a worker reads of what it owns: in order, whole, and at a cost that no backlog raises."""

import json
import random
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any

import asyncpg
import pytest

from argosy.store.head import DueRow, Heads
from argosy.store.pool import Pool, connect
from argosy.store.queries import load_queries
from argosy.turn.inbox import Queue
from tests.store.hand import LANE, TENANT, Change, Hand, New
from tests.store.test_accept import FUTURE
from tests.store.test_flush import QUEUED, RUNNING, STARTED, running

NIL = uuid.UUID(int=0)


@pytest.fixture
async def heads(store_dsn: str) -> AsyncIterator[Heads]:
    pool = Pool(store_dsn, 2, 30.0)
    yield Heads(pool, LANE, input_size_bytes_max=100)
    await pool.close()


async def test_the_head_of_each_session_is_its_first_turn_that_has_not_ended(hand: Hand, heads: Heads) -> None:
    done, head, behind, other = New("a"), New("a"), New("a"), New("b", priority=7)
    await hand.accept(done, head, behind, other)
    await hand.flush(Change(done, QUEUED, "completed"))
    await hand.flush(Change(other, QUEUED, "running", events=STARTED))

    found = await heads.load_heads(0, NIL, 1023, 10)

    assert {each.turn_id: (each.session, each.status, each.seq, each.priority) for each in found} == {
        head.turn_id: ("a", "queued", 0, 0),
        other.turn_id: ("b", "running", 1, 7),
    }


async def test_heads_are_read_by_pages_and_by_ranges_of_buckets(hand: Hand, heads: Heads) -> None:
    turns = [New(f"s{n}") for n in range(30)]
    await hand.accept(*turns, *(New(f"s{n}") for n in range(30)))

    read, at = [], (256, NIL)
    while page := await heads.load_heads(*at, 767, 4):
        read += page
        at = (page[-1].bucket, page[-1].session_id)

    expected = sorted((each.bucket, each.session_id) for each in turns if 256 <= each.bucket <= 767)
    assert [(each.bucket, each.session_id) for each in read] == expected


async def test_delayed_and_ended_turns_are_no_heads(hand: Hand, heads: Heads) -> None:
    delayed, rejected = New("a", not_before=FUTURE, key="k"), New("a", key="k", digest=b"other")
    await hand.accept(delayed, rejected)

    assert await heads.load_heads(0, NIL, 1023, 10) == []
    assert await heads.load_sessions([(delayed.bucket, delayed.session_id)], 10) == []


async def test_the_next_turns_of_sessions_come_in_order(hand: Hand, heads: Heads) -> None:
    a, b = [New("a") for _ in range(4)], [New("b") for _ in range(2)]
    await hand.accept(a[0], b[0], a[1], a[2], b[1], a[3])

    found = await heads.load_sessions([(b[0].bucket, b[0].session_id), (a[0].bucket, a[0].session_id)], 3)

    assert [each.turn_id for each in found] == [each.turn_id for each in (*b, *a[:3])]


async def test_a_large_input_is_left_for_later(hand: Hand, heads: Heads) -> None:
    large, small = New("a", input=b"x" * 101), New("b", input=b"x" * 100)
    await hand.accept(large, small)

    found = {each.turn_id: each.input for each in await heads.load_heads(0, NIL, 1023, 10)}

    assert found == {large.turn_id: None, small.turn_id: small.input}
    assert [each.input for each in await heads.load_turns([large.turn_id])] == [large.input]


async def test_a_turn_is_loaded_with_its_history_and_the_signals_nobody_took(hand: Hand, heads: Heads) -> None:
    turn, taken, first, second = New("a"), *(uuid.uuid4() for _ in range(3))
    await running(hand, turn)
    await hand.flush(Change(turn, RUNNING, "running", rows=[(each, "signal", "s", 0.0) for each in (taken, second)]))
    await hand.rows("UPDATE inbox SET sent_at = now() + interval '1 s' WHERE inbox_id = $1", second)
    await hand.flush(
        Change(
            turn, RUNNING, "running",
            events=[("wait.completed", "w")], rows=[(first, "signal", "s", 0.0)], moves=[(taken, "consumed")],
        )
    )  # fmt: skip

    (loaded,) = await heads.load_turns([turn.turn_id])

    assert loaded.events is not None
    assert [tuple(each) for each in loaded.events] == [
        (1, 1, "turn.started", "", b"{}"),
        (2, 1, "wait.completed", "w", b"{}"),
    ]
    assert [tuple(each) for each in loaded.signals] == [(first, "s", None), (second, "s", None)]
    assert (loaded.status, loaded.seq, loaded.session) == ("running", 2, "a")


SEND = (
    "INSERT INTO inbox (inbox_id, lane, bucket, tenant, session_id, turn_id, kind, name, sent_at, due_at)"
    " SELECT gen_random_uuid(), $1, $2, $3, $4, $5, 'signal', 's' || n, now() - $6::interval, now() - $6::interval"
    " FROM generate_series(1, $7) AS n"
)


async def send(hand: Hand, turn: New, count: int = 1, age: str = "1 second") -> None:
    await hand.connections[2].execute(
        SEND.replace("$6", f"'{age}'").replace("$7", str(count)),
        LANE, turn.bucket, TENANT, turn.session_id, turn.turn_id,
    )  # fmt: skip


async def due(
    heads: Heads,
    ranges: Sequence[tuple[int, int]] = ((0, 1023),),
    known: Sequence[uuid.UUID] = (),
    *,
    each: int = 10,
    size_bytes_max: int = 1_000,
) -> list[DueRow]:
    return await heads.due_inbox(ranges, known, dict.fromkeys(Queue, each), size_bytes_max)


async def test_what_is_sent_to_a_duplicate_comes_to_its_original(hand: Hand, heads: Heads) -> None:
    first, second = New("a", key="k"), New("a", key="k")
    await hand.accept(first, second)
    await send(hand, second)

    rows = await due(heads, [(0, 1023)])

    assert [(each.turn_id, each.head and each.head.status) for each in rows] == [(first.turn_id, "queued")]
    assert (await heads.next_due([(0, 1023)])).next_due_s is None


async def test_a_signal_to_a_duplicate_that_was_kept_is_found_with_its_original(hand: Hand, heads: Heads) -> None:
    first, second = New("a", key="k"), New("a", key="k")
    await hand.accept(first, second)
    await send(hand, second)
    await hand.rows("UPDATE inbox SET state = 'buffered' RETURNING 1")

    (loaded,) = await heads.load_turns([first.turn_id])
    (head,) = await heads.load_heads(0, NIL, 1023, 10)

    assert [signal[1] for signal in loaded.signals] == ["s1"]
    assert head.has_rows


async def test_rows_of_other_buckets_and_of_the_future_are_not_due(hand: Hand, heads: Heads) -> None:
    turn = New("a", deadline_s=60)
    await hand.accept(turn)
    await send(hand, turn)

    mine = await due(heads, [(turn.bucket, turn.bucket)])
    next_due_s, _ = await heads.next_due([(turn.bucket, turn.bucket)])
    others = await due(heads, [(0, turn.bucket - 1), (turn.bucket + 1, 1023)])

    assert [each.kind for each in mine] == ["signal"]
    assert next_due_s is not None
    assert 50 < next_due_s <= 60
    assert others == []


async def test_rows_for_turns_that_are_not_accepted_yet_do_not_keep_others_waiting(hand: Hand, heads: Heads) -> None:
    """They wait for the log, which may take long; what can be delivered does not wait with them."""
    turn = New("a")
    await hand.accept(turn)
    await send(hand, New("a"), count=20, age="5 seconds")
    await send(hand, turn)

    rows = await due(heads, [(0, 1023)])

    assert [each.turn_id for each in rows] == [turn.turn_id]


async def test_rows_for_a_turn_that_never_came_are_found_in_the_end(hand: Hand, heads: Heads) -> None:
    never = New("a")
    await read_through(hand, never, age_s=0)
    await send(hand, never, age="11 minutes")

    rows = await due(heads, [(0, 1023)])

    assert [(each.turn_id, each.head) for each in rows] == [(never.turn_id, None)]


async def test_rows_for_turns_in_the_log_wait_as_long_as_the_log_is_not_read(hand: Hand, heads: Heads) -> None:
    """Every worker was away for longer than a turn that never comes is waited for."""
    turn = New("a")
    await read_through(hand, turn, age_s=1_200)
    await send(hand, turn, age="11 minutes")

    assert await due(heads, [(0, 1023)]) == []


async def read_through(hand: Hand, turn: New, age_s: float) -> None:
    """The log of the turn's partition is accepted through so long ago."""
    await hand.rows(
        "INSERT INTO lane_logs (lane, cluster_id, topic_id, topic, partition_count) VALUES ($1, 'c', 'l', 't', 64)"
        " ON CONFLICT (lane) DO UPDATE SET partition_count = 64",
        LANE,
    )
    await hand.rows(
        "INSERT INTO positions (log_id, partition, lane, position, accepted_through)"
        " VALUES ('l', $1, $2, 1, now() - make_interval(secs => $3))",
        turn.bucket * 64 // 1024,
        LANE,
        age_s,
    )


WRITE = (
    "INSERT INTO inbox (inbox_id, lane, bucket, tenant, session_id, turn_id, kind, name, payload, due_at)"
    " SELECT gen_random_uuid(), $1, $2, $3, $4, $5, $6, $7, $8, now() - make_interval(secs => n)"
    " FROM generate_series(1, $9::integer) AS n"
)


async def write(hand: Hand, turn: New, kind: str, name: str = "", count: int = 1, payload: bytes | None = None) -> None:
    await hand.connections[2].execute(
        WRITE, LANE, turn.bucket, TENANT, turn.session_id, turn.turn_id, kind, name, payload, count
    )


async def test_no_kind_of_row_hides_another(hand: Hand, heads: Heads) -> None:
    turn = New("a")
    await hand.accept(turn)
    await write(hand, turn, "timer", "sleep", 50)
    await write(hand, turn, "signal", "go", 50)
    await write(hand, turn, "timer", "deadline")
    await write(hand, turn, "cancel")

    rows = await due(heads, each=3)

    assert [(each.kind, each.name) for each in rows] == [
        ("cancel", ""), ("timer", "deadline"), *[("signal", "go")] * 3, *[("timer", "sleep")] * 3
    ]  # fmt: skip


async def test_what_is_known_is_passed_over_and_what_became_visible_meanwhile_is_found(
    hand: Hand, heads: Heads
) -> None:
    turn = New("a")
    await hand.accept(turn)
    await write(hand, turn, "timer", "sleep", 5)

    first = [each.inbox_id for each in await due(heads, each=3)]
    await write(hand, turn, "timer", "earlier", 9)  # among them one that was due before all that is known
    rest = await due(heads, known=first, each=20)

    assert len({*first, *(each.inbox_id for each in rest)}) == 14
    assert len(rest) == 11
    assert await due(heads, each=0) == []


async def test_the_payloads_of_one_read_are_bounded_and_one_row_always_comes(hand: Hand, heads: Heads) -> None:
    turn = New("a")
    await hand.accept(turn)
    await write(hand, turn, "signal", "large", 3, b"x" * 5_000)
    await write(hand, turn, "timer", "sleep")

    rows = await due(heads, size_bytes_max=6_000)

    assert [each.name for each in rows] == ["large", "large", "sleep"]
    assert [each.name for each in await due(heads, size_bytes_max=1)] == ["large", "sleep"]


async def test_what_a_turn_waits_for_is_read_once_however_many_of_its_rows_are_due(hand: Hand, heads: Heads) -> None:
    many, other = New("a"), New("b")
    await hand.accept(many, other)
    for turn in (many, other):
        await hand.rows("UPDATE turns SET waits = $2 WHERE turn_id = $1", turn.turn_id, b"x" * 5_000)
        await write(hand, turn, "timer", "sleep", 4)
    await write(hand, many, "signal", "go")

    rows = await due(heads, size_bytes_max=10_001)
    of_one = await heads.due_of_turns([many.turn_id], [], 10, 9_000)

    assert len(rows) == 9
    assert len(of_one) == 5
    assert {each.waits for each in (*rows, *of_one)} == {b"x" * 5_000}
    assert len(await due(heads, size_bytes_max=5_000)) < 9  # it counts all the same


async def test_a_due_row_comes_with_what_decides_about_its_turn(hand: Hand, heads: Heads) -> None:
    turn = New("a", priority=3)
    await hand.accept(turn)
    await hand.flush(Change(turn, QUEUED, "suspended", events=STARTED))
    await write(hand, turn, "signal", "go", payload=b"1")

    (row,) = await due(heads)

    assert row.head is not None
    assert (row.head.status, row.head.session, row.head.seq, row.head.priority) == ("suspended", "a", 1, 3)
    assert (row.waits, row.payload, row.head.input) == (b"[]", b"1", None)


async def test_rows_of_another_tenants_turn_are_nobodys(hand: Hand, heads: Heads) -> None:
    turn = New("a")
    await hand.accept(turn)
    await write(hand, turn, "cancel")
    await hand.rows("UPDATE inbox SET tenant = 'other' RETURNING 1")

    assert await due(heads) == []


async def test_what_is_due_of_some_turns_is_found_behind_all_that_is_due_of_others(hand: Hand, heads: Heads) -> None:
    mine, other = New("a"), New("b")
    await hand.accept(mine, other)
    await write(hand, other, "timer", "sleep", 50)
    await write(hand, mine, "timer", "sleep")
    await write(hand, mine, "signal", "go", 2, b"x" * 600)

    rows = await heads.due_of_turns([mine.turn_id], [], 10, 1_000)
    (rest,) = await heads.due_of_turns([mine.turn_id], [each.inbox_id for each in rows[:2]], 10, 1_000)

    assert sorted(each.name for each in rows) == ["go", "go", "sleep"]
    assert rest.inbox_id == rows[2].inbox_id
    assert len(await heads.due_of_turns([mine.turn_id], [], 10, 500)) < 3
    assert await heads.due_of_turns([], [], 10, 1_000) == []


async def test_due_rows_are_read_by_the_index_of_their_queue(store_dsn: str, hand: Hand) -> None:
    turn = New("a")
    await hand.accept(turn)
    await write(hand, turn, "timer", "sleep", 20_000)
    await write(hand, turn, "cancel")
    connection: asyncpg.Connection = await connect(store_dsn)
    await connection.execute("VACUUM turns")  # what other tests left dead is not what is counted
    await connection.execute("VACUUM sessions")

    arguments: tuple[object, ...] = (LANE, [0], [1023], [], [1, 2, 3, 4], [10, 10, 10, 10], 1_000)
    statement = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + load_queries("head")["due_inbox"]
    plan = json.loads(await connection.fetchval(statement, *arguments))[0]["Plan"]

    await connection.close()
    assert plan["Actual Rows"] == 11
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 200, json.dumps(plan, indent=1)


SESSIONS, TURNS_PER_SESSION = 50, 400


def rows_read(plan: Any) -> float:
    """Rows that a plan took from turns, in all its loops."""
    own = plan["Actual Rows"] * plan["Actual Loops"] if plan.get("Relation Name") == "turns" else 0
    return float(own + sum(rows_read(each) for each in plan.get("Plans", [])))


async def fill(connection: asyncpg.Connection, n: int) -> None:
    """A session with a backlog."""
    turn = New(f"s{n}")
    await connection.execute(
        "INSERT INTO sessions (session_id, tenant, lane, bucket, name) VALUES ($1, $2, $3, $4, $5)",
        turn.session_id, TENANT, LANE, turn.bucket, turn.session,
    )  # fmt: skip
    await connection.execute(
        "INSERT INTO turns (turn_id, tenant, lane, bucket, session_id, place, workflow, status, on_busy)"
        " SELECT gen_random_uuid(), $1, $2, $3, $4, nextval('places'), 'echo', 'queued', 'enqueue'"
        " FROM generate_series(1, $5::integer)",
        TENANT, LANE, turn.bucket, turn.session_id, TURNS_PER_SESSION,
    )  # fmt: skip


@pytest.mark.parametrize(
    "analyzed", ["never", "while empty", "while small", "after 1", "after 2", "after 5", "after 25", "now"]
)
async def test_no_read_costs_more_for_a_longer_backlog(store_dsn: str, hand: Hand, analyzed: str) -> None:
    connection: asyncpg.Connection = await connect(store_dsn)
    if analyzed == "while empty":  # pages, but no rows: the planner takes the tables for empty whatever comes
        await hand.accept(*(New(f"s{n}") for n in range(SESSIONS)))
        await connection.execute("DELETE FROM turns")
        await connection.execute("DELETE FROM sessions")
        await connection.execute("ANALYZE turns, sessions")
    if analyzed == "while small":
        await hand.accept(New("small"))
        await connection.execute("VACUUM ANALYZE turns, sessions")
        await connection.execute("DELETE FROM turns")
    for n in range(SESSIONS):
        await fill(connection, n)
        if analyzed == f"after {n + 1}":  # as autovacuum does, whenever it likes
            await connection.execute("ANALYZE turns, sessions")
    if analyzed == "now":
        await connection.execute("ANALYZE turns, sessions")

    sql = load_queries("head")
    asked = [New(f"s{n}") for n in range(SESSIONS)]
    reads = {
        "load_heads": (LANE, 0, NIL, 1023, 1000, 100),
        "load_sessions": (LANE, [each.bucket for each in asked], [each.session_id for each in asked], 2, 100),
    }
    read = {}
    for name, arguments in reads.items():
        plan = await connection.fetchval("EXPLAIN (ANALYZE, FORMAT JSON) " + sql[name], *arguments)
        read[name] = rows_read(json.loads(plan)[0]["Plan"])

    await connection.close()
    assert read["load_heads"] <= 3 * SESSIONS
    assert read["load_sessions"] <= 2 * SESSIONS


STATISTICS = (
    "SELECT pg_restore_attribute_stats('schemaname', 'argosy', 'relname', 'turns', 'attname', $1::text, 'inherited',"
    " false, 'null_frac', 0.0::real, 'avg_width', 16, 'n_distinct', $2::real)"
)
SIZE = "SELECT pg_restore_relation_stats('schemaname', 'argosy', 'relname', $1::text, 'reltuples', $2::real)"


async def test_whatever_the_planner_believes_heads_are_read_in_the_order_of_their_index(
    store_dsn: str, hand: Hand
) -> None:
    """Autovacuum may leave statistics from any moment. One that took each session for a single turn once made the
    planner read and sort whole sessions by another index: what it believes is drawn at random here.
    """
    connection: asyncpg.Connection = await connect(store_dsn)
    if connection.get_server_version().major < 18:
        await connection.close()
        return  # statistics cannot be set by hand there; the cost rules are the same
    for n in range(SESSIONS):
        await fill(connection, n)
    drawn, sql = random.Random(1), load_queries("head")
    plans = []

    for _ in range(200):
        for column in ("lane", "bucket", "session_id", "status"):
            await connection.execute(STATISTICS, column, drawn.choice([1.0, 2.0, 50.0, -1.0, -0.0025, -0.5]))
        for relation in ("turns", "turns_open", "turns_of_session", "turns_pkey"):
            await connection.execute(SIZE, relation, drawn.choice([0.0, 1.0, 50.0, 400.0, 20000.0]))
        arguments = (LANE, 0, NIL, 1023, 1000, 100)
        plans.append(await connection.fetchval("EXPLAIN (FORMAT JSON) " + sql["load_heads"], *arguments))

    await connection.close()
    assert {(plan.count('"turns_open"'), plan.count('"turns_of_session"')) for plan in plans} == {(3, 0)}


async def with_events(hand: Hand, session: str, count: int, size_bytes: int) -> New:
    """A running turn with so many events of so many bytes."""
    turn = New(session)
    await running(hand, turn)
    events = [("step.completed", f"s{number}") for number in range(count)]
    await hand.flush(Change(turn, RUNNING, "running", events=events))
    await hand.rows(
        "UPDATE events SET data = convert_to(repeat('x', $2), 'UTF8') WHERE turn_id = $1", turn.turn_id, size_bytes
    )
    return turn


@pytest.fixture
def small_reads(heads: Heads) -> Heads:
    heads.load_size_bytes_max = 10_000
    return heads


async def test_one_read_brings_so_many_bytes_and_of_the_others_says_how_much_there_is(
    hand: Hand, small_reads: Heads
) -> None:
    turns = [await with_events(hand, session, 3, 1_000) for session in "abcd"]
    await send(hand, turns[3])

    loaded = await small_reads.load_turns([each.turn_id for each in turns])

    assert [each.turn_id for each in loaded] == [each.turn_id for each in turns]
    assert [each.events is not None for each in loaded] == [True, True, False, False]
    assert all(4_000 <= each.size_bytes <= 5_000 for each in loaded)
    assert (loaded[3].results, loaded[3].input) == (None, None)
    assert [(name, payload) for _, name, payload in loaded[3].signals] == [("s1", None)]


async def test_a_turn_larger_than_a_read_is_read_page_by_page(hand: Hand, small_reads: Heads) -> None:
    turn = await with_events(hand, "a", 50, 1_000)
    await send(hand, turn)

    (told,) = await small_reads.load_turns([turn.turn_id])
    whole = await small_reads.load_whole(turn.turn_id)

    assert told.events is None
    assert whole is not None
    assert whole.events is not None
    assert [event[0] for event in whole.events] == list(range(1, 52))
    assert {len(event[4]) for event in whole.events} == {1_000}
    assert len(whole.signals) == 1
    assert whole.size_bytes == told.size_bytes


async def test_what_is_read_ahead_of_a_signal_is_no_large_history(hand: Hand, small_reads: Heads) -> None:
    large, small = await with_events(hand, "a", 50, 1_000), await with_events(hand, "b", 2, 100)
    for turn in (small, large):
        await hand.rows("UPDATE turns SET status = 'suspended', waits = '[]' WHERE turn_id = $1", turn.turn_id)

    found = await small_reads.load_suspended([small.turn_id, large.turn_id], 100)

    assert [each.turn_id for each in found] == [small.turn_id]


async def test_unread_signals_count_like_history_and_are_not_read_with_what_is_too_large(
    hand: Hand, small_reads: Heads
) -> None:
    turn = await with_events(hand, "a", 1, 100)
    await send(hand, turn, 20)
    await hand.rows("UPDATE inbox SET payload = convert_to(repeat('x', 1000), 'UTF8') WHERE turn_id = $1", turn.turn_id)

    (loaded,) = await small_reads.load_turns([turn.turn_id])

    assert loaded.events is None
    assert loaded.size_bytes > 20_000
    assert [payload for _, _, payload in loaded.signals] == [None] * 20
