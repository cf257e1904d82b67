"""What clients are shown of turns and sessions."""

import base64
import uuid
from datetime import UTC, datetime, timedelta

import httpx2

from tests.gateway.rows import Rows


async def test_a_completed_turn_is_shown_with_its_steps(client: httpx2.AsyncClient, rows: Rows) -> None:
    turn_id = await rows.turn("s", "completed", input={"a": 1}, result={"b": [2]}, attempt=1, version="v1", tags=["x"])
    await rows.events(
        turn_id,
        ("turn.started", "", {}),
        ("step.retrying", "charge", {"type": "E", "message": "no", "attempts": 1, "delay_s": 1}),
        ("step.completed", "charge", {"result": {"paid": True}, "attempts": 2}),
        ("step.failed", "mail", {"type": "Gone", "message": "away", "attempts": 3}),
        ("step.retrying", "slow", {"type": "E", "message": "no", "attempts": 1, "delay_s": 1}),
        ("step.cancelled", "slow", {}),
        ("step.intended", "wire", {}),
        ("turn.completed", "", {}),
    )

    answer = await client.get(f"/v1/turns/{turn_id}")

    assert answer.status_code == 200
    shown = answer.json()
    assert shown["steps"] == [
        {"key": "charge", "status": "completed", "result": {"paid": True}, "error": None, "attempts": 2},
        {
            "key": "mail",
            "status": "failed",
            "result": None,
            "error": {"type": "Gone", "message": "away"},
            "attempts": 3,
        },
        {"key": "slow", "status": "cancelled", "result": None, "error": None, "attempts": 1},
        {"key": "wire", "status": "intended", "result": None, "error": None, "attempts": 0},
    ]
    expected = {
        "turn_id": str(turn_id), "session": "s", "workflow": "echo", "version": "v1", "status": "completed",
        "input": {"a": 1}, "result": {"b": [2]}, "error": None,
    }  # fmt: skip
    assert {name: shown[name] for name in expected} == expected
    assert shown["tags"] == ["x"]
    assert shown["accepted_at"].endswith("Z")
    assert shown["ended_at"].endswith("Z")
    assert "requested_turn_id" not in shown


async def test_a_suspended_turn_says_what_it_waits_for(client: httpx2.AsyncClient, rows: Rows) -> None:
    waits = [{"key": "w1", "kind": "signal", "name": "approve", "timer_id": "x", "due_at_s": 2_000_000_000.0}]
    turn_id = await rows.turn("s", "suspended", waits=waits, attempt=1)

    shown = (await client.get(f"/v1/turns/{turn_id}")).json()

    assert shown["waits"] == [{"key": "w1", "kind": "signal", "name": "approve", "due_at": "2033-05-18T03:33:20Z"}]


async def test_a_duplicate_shows_the_original(client: httpx2.AsyncClient, rows: Rows) -> None:
    original = await rows.turn("s", "completed", result=7)
    duplicate = await rows.turn("s", "duplicate", duplicate_of=original)

    shown = (await client.get(f"/v1/turns/{duplicate}")).json()

    assert (shown["turn_id"], shown["requested_turn_id"], shown["result"]) == (str(original), str(duplicate), 7)


async def test_events_are_read_page_by_page(client: httpx2.AsyncClient, rows: Rows) -> None:
    turn_id = await rows.turn("s", "running", attempt=1)
    await rows.events(turn_id, *[("value.recorded", f"k{n}", {"value": n}) for n in range(5)], lineage=7)

    first = (await client.get(f"/v1/turns/{turn_id}/events?limit=2")).json()
    second = (await client.get(f"/v1/turns/{turn_id}/events?after={first['next']}")).json()
    third = (await client.get(f"/v1/turns/{turn_id}/events?after={second['next']}")).json()

    assert [event["id"] for event in first["events"]] == ["7-1", "7-2"]
    assert [event["seq"] for event in second["events"]] == [3, 4, 5]
    assert second["events"][0]["data"] == {"value": 2}
    assert (third["events"], third["next"]) == ([], 5)


async def test_one_answer_is_bounded_however_large_the_events_are(client: httpx2.AsyncClient, rows: Rows) -> None:
    turn_id = await rows.turn("s", "running", attempt=1)
    result = "x" * 250_000
    await rows.events(turn_id, *[("step.completed", f"s{n}", {"result": result, "attempts": 1}) for n in range(40)])

    turn = await client.get(f"/v1/turns/{turn_id}")
    pages, after = [], 0
    while page := (await client.get(f"/v1/turns/{turn_id}/events?after={after}")).json()["events"]:
        pages.append([event["seq"] for event in page])
        after = pages[-1][-1]

    assert len(turn.content) < 5_000_000
    assert (turn.json()["steps_truncated"], len(turn.json()["steps"])) == (True, 17)
    assert [seq for page in pages for seq in page] == list(range(1, 41))
    assert len(pages) == 3


async def test_a_turn_that_is_only_in_the_log_is_accepted(client: httpx2.AsyncClient, rows: Rows) -> None:
    turn_id = rows.mint("s")

    turn = await client.get(f"/v1/turns/{turn_id}")
    events = await client.get(f"/v1/turns/{turn_id}/events")
    explained = await client.get(f"/v1/turns/{turn_id}/explain")

    assert (turn.status_code, turn.json()["status"]) == (200, "accepted")
    assert events.json()["events"] == []
    assert explained.json()["status"] == "accepted"


async def test_an_id_that_the_log_was_read_past_is_nobodys(client: httpx2.AsyncClient, rows: Rows) -> None:
    session = f"s-{uuid.uuid4()}"
    turn_id = rows.mint(session, age_s=20)
    await rows.accepted_through(session, datetime.now(UTC) - timedelta(seconds=6))
    before = await client.get(f"/v1/turns/{turn_id}")
    await rows.accepted_through(session, datetime.now(UTC))

    after = await client.get(f"/v1/turns/{turn_id}")
    of_now = await client.get(f"/v1/turns/{rows.mint(session)}")

    assert (before.status_code, after.status_code, of_now.status_code) == (200, 404, 200)
    assert after.json()["code"] == "turn_not_found"


async def test_an_id_from_the_future_is_nobodys(client: httpx2.AsyncClient, rows: Rows) -> None:
    answers = [await client.get(f"/v1/turns/{rows.mint('s', age_s=-age_s)}") for age_s in (3_600, 86_400 * 365 * 7_000)]

    assert [answer.status_code for answer in answers] == [404, 404]


async def test_sessions_are_listed_newest_first_page_by_page(client: httpx2.AsyncClient, rows: Rows) -> None:
    begin = datetime.now(UTC)
    for number in range(5):
        await rows.session(f"s{number}", begin + timedelta(microseconds=number // 2))

    names, cursor = [], None
    while True:
        page = (await client.get("/v1/sessions", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))).json()
        names += [each["session"] for each in page["sessions"]]
        cursor = page["next"]
        if cursor is None:
            break

    assert sorted(names) == ["s0", "s1", "s2", "s3", "s4"]
    assert names[0] == "s4"
    assert set(names[1:3]) == {"s2", "s3"}


async def test_a_session_shows_its_head_and_what_waits(client: httpx2.AsyncClient, rows: Rows) -> None:
    head = await rows.turn("a/b ü", "running", attempt=1)
    await rows.turn("a/b ü", "queued")
    await rows.turn("a/b ü", "queued")

    shown = (await client.get("/v1/sessions/a%2Fb%20%C3%BC")).json()

    assert shown["session"] == "a/b ü"
    assert shown["head"] == {"turn_id": str(head), "status": "running"}
    assert shown["turns_queued"] == 2


async def test_turns_of_a_session_are_filtered(client: httpx2.AsyncClient, rows: Rows) -> None:
    done = await rows.turn("s", "completed", tags=["red", "blue"])
    failed = await rows.turn("s", "failed", tags=["red"])
    await rows.turn("s", "completed")
    await rows.turn("other", "completed", tags=["red"])

    async def listed(query: str) -> list[str]:
        answer = await client.get(f"/v1/sessions/s/turns{query}")
        return [turn["turn_id"] for turn in answer.json()["turns"]]

    assert await listed("?tag=red") == [str(failed), str(done)]
    assert await listed("?tag=red&status=completed") == [str(done)]
    assert await listed("?status=queued") == []
    assert len(await listed("")) == 3


async def test_turns_of_a_session_are_paged(client: httpx2.AsyncClient, rows: Rows) -> None:
    turns = [str(await rows.turn("s", "completed")) for _ in range(3)]

    first = (await client.get("/v1/sessions/s/turns?limit=2")).json()
    second = (await client.get(f"/v1/sessions/s/turns?limit=2&cursor={first['next']}")).json()

    assert [turn["turn_id"] for turn in first["turns"] + second["turns"]] == turns[::-1]
    assert second["next"] is None


async def test_a_cursor_fits_only_its_list(client: httpx2.AsyncClient, rows: Rows) -> None:
    for _ in range(3):
        await rows.turn("s", "completed")
    cursor = (await client.get("/v1/sessions/s/turns?limit=1&status=completed")).json()["next"]

    answers = [
        await client.get(url)
        for url in (
            f"/v1/sessions/s/turns?cursor={cursor}",
            f"/v1/sessions/s/turns?status=completed&cursor={cursor[:-2]}AA",
            f"/v1/sessions?cursor={cursor}",
            "/v1/sessions/s/turns?cursor=%C3%BC",
        )
    ]
    answers.append(await client.get("/v1/dead-letters?cursor=AAAA", headers={"x-argosy-tenant": "default"}))

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(400, "invalid_cursor")] * 5


async def test_workflows_are_listed(client: httpx2.AsyncClient, rows: Rows) -> None:
    answer = (await client.get("/v1/workflows?limit=1")).json()

    assert answer["workflows"][0]["name"] == "echo"


async def test_dead_letters_are_the_operators(client: httpx2.AsyncClient, rows: Rows) -> None:
    log_id = uuid.uuid4().hex
    for position in range(3):
        await rows.connection.execute(
            "INSERT INTO dead_letters (log_id, partition, position, lane, value, code, reason)"
            " VALUES ($1, 0, $2, 'default', $3, 'undecodable_record', 'no')",
            log_id, position, b"\xff" * 5_000,
        )  # fmt: skip
    operator = {"x-argosy-tenant": "default"}

    first = (await client.get("/v1/dead-letters?limit=2", headers=operator)).json()
    second = (await client.get(f"/v1/dead-letters?limit=2&cursor={first['next']}", headers=operator)).json()
    to_others = await client.get("/v1/dead-letters")
    said = (await client.get("/v1/dead-letters?limit=1&values=true", headers=operator)).json()["dead_letters"][0]

    assert [letter["position"] for letter in first["dead_letters"] + second["dead_letters"]][:3] == [2, 1, 0]
    assert (first["dead_letters"][0]["value_size_bytes"], first["dead_letters"][0]["value_base64"]) == (5_000, None)
    assert base64.b64decode(said["value_base64"]) == b"\xff" * 4_096
    assert (to_others.status_code, to_others.json()["code"]) == (403, "insufficient_scope")


async def test_why_a_turn_waits_for_a_graph_is_read_from_the_last_try_of_its_step(
    client: httpx2.AsyncClient, rows: Rows
) -> None:
    failed = {"type": "GraphUnusableError", "message": "no file", "attempts": 1, "delay_s": 1, "away": True}
    turn_id = await rows.turn("s", "suspended", attempt=1, waits=[{"key": "graph:write~2", "kind": "retry"}])
    await rows.events(
        turn_id,
        ("turn.started", "", {}),
        ("step.retrying", "graph:write", failed | {"type": "GraphAwayError"}),
        ("step.retrying", "graph:write", failed | {"attempts": 2}),
        ("turn.suspended", "", {}),
    )

    explained = (await client.get(f"/v1/turns/{turn_id}/explain")).json()

    assert "It waits for a graph: no file." in explained["why"]
