"""Signals, cancels and resumes: one row each, to the turn that the id means."""

import asyncio
import uuid

import httpx2
import pytest

from argosy.workflow.mismatch import mismatch, written_otherwise
from tests.gateway.conftest import OpenGateway
from tests.gateway.rows import Rows


async def test_a_signal_is_one_row_of_the_turns_inbox(client: httpx2.AsyncClient, rows: Rows) -> None:
    turn_id = await rows.turn("s", "suspended", attempt=1)

    answer = await client.post(f"/v1/turns/{turn_id}/signals/approve%2Fit", json={"ok": True})

    (row,) = await rows.inbox(turn_id)
    assert answer.status_code == 202
    assert answer.json() == {
        "turn_id": str(turn_id), "status": "suspended", "signal_id": str(row["inbox_id"]), "name": "approve/it"
    }  # fmt: skip
    assert (row["kind"], row["name"], row["payload"], row["state"]) == ("signal", "approve/it", b'{"ok":true}', "due")
    assert row["session_id"] == await rows.session("s")


async def test_a_signal_sent_twice_is_one_signal(client: httpx2.AsyncClient, rows: Rows) -> None:
    turn_id = await rows.turn("s", "running", attempt=1)
    url, key = f"/v1/turns/{turn_id}/signals/go", {"idempotency-key": "k"}

    first = await client.post(url, content=b'{"a": 1, "b": 2}', headers=key)
    again = await client.post(url, content=b'{"b":2,"a":1}', headers=key)
    other = await client.post(url, content=b'{"b":3,"a":1}', headers=key)

    assert (first.status_code, again.status_code, other.status_code) == (202, 202, 422)
    assert first.json() == again.json()
    assert other.json()["code"] == "idempotency_mismatch"
    assert len(await rows.inbox(turn_id)) == 1


async def test_signals_at_once_with_one_key_are_one_signal(client: httpx2.AsyncClient, rows: Rows) -> None:
    turn_id = await rows.turn("s", "running", attempt=1)

    answers = await asyncio.gather(
        *(client.post(f"/v1/turns/{turn_id}/signals/go", json=1, headers={"idempotency-key": "k"}) for _ in range(8))
    )

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["signal_id"] for answer in answers}) == 1
    assert len(await rows.inbox(turn_id)) == 1


async def test_signals_without_a_key_are_signals_of_their_own(client: httpx2.AsyncClient, rows: Rows) -> None:
    turn_id = await rows.turn("s", "running", attempt=1)

    for _ in range(2):
        await client.post(f"/v1/turns/{turn_id}/signals/go")

    assert [row["payload"] for row in await rows.inbox(turn_id)] == [b"null", b"null"]


async def test_an_early_signal_waits_for_its_turn(client: httpx2.AsyncClient, rows: Rows) -> None:
    turn_id = rows.mint("s")

    answer = await client.post(f"/v1/turns/{turn_id}/signals/go", json=1)

    (row,) = await rows.early(turn_id)
    assert (answer.status_code, answer.json()["status"]) == (202, "accepted")
    assert (row["tenant"], row["kind"], row["name"], row["payload"]) == (rows.tenant, "signal", "go", b"1")
    assert await rows.inbox(turn_id) == []


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled", "expired", "rejected"])
async def test_a_signal_to_an_ended_turn_is_refused(client: httpx2.AsyncClient, rows: Rows, status: str) -> None:
    turn_id = await rows.turn("s", status)

    answer = await client.post(f"/v1/turns/{turn_id}/signals/go", json=1)

    assert (answer.status_code, answer.json()["code"], answer.json()["turn_status"]) == (409, "turn_ended", status)
    assert await rows.inbox(turn_id) == []


async def test_a_repeated_signal_is_answered_as_the_first_after_the_end(client: httpx2.AsyncClient, rows: Rows) -> None:
    turn_id = await rows.turn("s", "running", attempt=1)
    url, key = f"/v1/turns/{turn_id}/signals/go", {"idempotency-key": "k"}
    first = await client.post(url, json=1, headers=key)
    await rows.connection.execute("UPDATE turns SET status = 'completed', ended_at = now() WHERE turn_id = $1", turn_id)

    again = await client.post(url, json=1, headers=key)

    assert (again.status_code, again.json()["signal_id"]) == (202, first.json()["signal_id"])


async def test_what_is_sent_to_a_duplicate_reaches_the_original(client: httpx2.AsyncClient, rows: Rows) -> None:
    original = await rows.turn("s", "running", attempt=1)
    duplicate = await rows.turn("s", "duplicate", duplicate_of=original)

    signal = await client.post(f"/v1/turns/{duplicate}/signals/go", json=1)
    cancel = await client.post(f"/v1/turns/{duplicate}/cancel")

    assert (signal.status_code, cancel.status_code) == (202, 202)
    assert signal.json()["turn_id"] == cancel.json()["turn_id"] == str(original)
    assert signal.json()["requested_turn_id"] == str(duplicate)
    assert sorted(row["kind"] for row in await rows.inbox(original)) == ["cancel", "signal"]
    assert await rows.inbox(duplicate) == []


async def test_cancels_are_one_row_however_often_they_are_asked_for(client: httpx2.AsyncClient, rows: Rows) -> None:
    turn_id = await rows.turn("s", "queued")

    answers = [await client.post(f"/v1/turns/{turn_id}/cancel") for _ in range(3)]

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["cancel_id"] for answer in answers}) == 1
    assert len(await rows.inbox(turn_id)) == 1


async def test_a_cancelled_turn_is_as_it_was_asked_for(client: httpx2.AsyncClient, rows: Rows) -> None:
    cancelled, completed = await rows.turn("s", "cancelled"), await rows.turn("s", "completed")

    answers = [await client.post(f"/v1/turns/{turn_id}/cancel") for turn_id in (cancelled, completed)]

    assert [answer.status_code for answer in answers] == [200, 409]


async def test_only_a_parked_turn_is_resumed(client: httpx2.AsyncClient, rows: Rows) -> None:
    parked = await rows.turn("s1", "parked", attempt=1, seq=4, reason="poison")
    others = [await rows.turn(f"s-{status}", status) for status in ("queued", "running", "suspended", "completed")]

    first, again = [await client.post(f"/v1/turns/{parked}/resume") for _ in range(2)]
    refused = [await client.post(f"/v1/turns/{turn_id}/resume") for turn_id in (*others, rows.mint("s"))]

    assert (first.status_code, first.json()) == (202, again.json())
    assert [answer.status_code for answer in refused] == [409] * 5
    assert [answer.json()["code"] for answer in refused] == ["not_parked"] * 3 + ["turn_ended", "not_parked"]


async def test_a_turn_that_is_parked_again_is_resumed_again(client: httpx2.AsyncClient, rows: Rows) -> None:
    turn_id = await rows.turn("s", "parked", attempt=1, seq=4)
    await client.post(f"/v1/turns/{turn_id}/resume")
    await rows.connection.execute("UPDATE turns SET seq = 9 WHERE turn_id = $1", turn_id)

    await client.post(f"/v1/turns/{turn_id}/resume")

    assert len(await rows.inbox(turn_id)) == 2


async def test_a_resume_that_is_repeated_under_its_key_takes_effect_once(
    client: httpx2.AsyncClient, rows: Rows
) -> None:
    turn_id = await rows.turn("s", "parked", attempt=1, seq=4)
    url, key = f"/v1/turns/{turn_id}/resume", {"idempotency-key": "k"}
    first = await client.post(url, headers=key)

    later = []
    for status, seq in (("running", 5), ("parked", 9), ("suspended", 12)):
        waits = b"[]" if status == "suspended" else None
        await rows.connection.execute(
            "UPDATE turns SET status = $2, seq = $3, waits = $4 WHERE turn_id = $1", turn_id, status, seq, waits
        )
        later.append(await client.post(url, headers=key))
    other = await client.post(url, headers={"idempotency-key": "other"})

    assert [(each.status_code, each.json()["resume_id"]) for each in later] == [(202, first.json()["resume_id"])] * 3
    assert (other.status_code, other.json()["code"]) == (409, "not_parked")
    assert len(await rows.inbox(turn_id)) == 1


async def test_a_payload_over_its_bound_is_refused(client: httpx2.AsyncClient, rows: Rows) -> None:
    turn_id = await rows.turn("s", "running", attempt=1)

    answers = [
        await client.post(f"/v1/turns/{turn_id}/signals/go", content=b'"' + b"x" * size + b'"')
        for size in (262_142, 262_143, 5_000_000)
    ]

    assert [answer.status_code for answer in answers] == [202, 413, 413]


async def test_an_unknown_turn_gets_nothing(client: httpx2.AsyncClient) -> None:
    answers = [await client.post(f"/v1/turns/{uuid.uuid4()}/{what}") for what in ("cancel", "resume", "signals/x")]

    assert [answer.status_code for answer in answers] == [404] * 3


async def test_signals_that_a_turn_did_not_take_are_shown(client: httpx2.AsyncClient, rows: Rows) -> None:
    turn_id = await rows.turn("s", "running", attempt=1)
    repeated = await rows.turn("s", "duplicate", duplicate_of=turn_id)
    for name in ("kept", "kept", "new", "taken", "late"):
        await client.post(f"/v1/turns/{turn_id}/signals/{name}", json=1)
    await rows.connection.execute(
        "UPDATE inbox SET turn_id = $2 WHERE turn_id = $1 AND name = 'new'", turn_id, repeated
    )
    for name, state in (("kept", "buffered"), ("taken", "consumed"), ("late", "late")):
        await rows.connection.execute(
            "UPDATE inbox SET state = $2 WHERE turn_id = $1 AND name = $3", turn_id, state, name
        )

    shown = (await client.get(f"/v1/turns/{turn_id}")).json()
    explained = (await client.get(f"/v1/turns/{turn_id}/explain")).json()
    fresh = (await client.get(f"/v1/turns/{rows.mint('other')}")).json()

    assert shown["signals"] == {"unread": 3, "late": 1}
    assert explained["details"]["signals"] == {"unread": {"kept": 2, "new": 1}, "late": {"late": 1}}
    assert fresh["signals"] == {"unread": 0, "late": 0}


@pytest.mark.usefixtures("alone")
async def test_signals_cancels_and_resumes_over_the_rate_of_their_tenant_are_told_when_to_come_again(
    open_gateway: OpenGateway, rows: Rows
) -> None:
    client = await open_gateway(gateway_signal_rate_limit=1.0, gateway_signal_rate_burst=3.0)
    turn_id = await rows.turn("s", "parked", attempt=1)
    url = f"/v1/turns/{turn_id}"

    taken = [await client.post(f"{url}/{what}") for what in ("signals/go", "cancel", "resume")]
    refused = [await client.post(f"{url}/{what}") for what in ("signals/go", "cancel", "resume")]
    turn = await client.post("/v1/sessions/s/turns", json={"workflow": "echo"})
    others = await client.post(f"{url}/cancel", headers={"x-argosy-tenant": "somebody-else"})

    assert [answer.status_code for answer in taken] == [202] * 3
    assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [(429, "rate_limited")] * 3
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    assert (turn.status_code, others.status_code) == (202, 404)
    assert len(await rows.inbox(turn_id)) == 3


async def test_a_turn_that_has_too_many_signals_is_sent_no_more_of_them(open_gateway: OpenGateway, rows: Rows) -> None:
    client = await open_gateway(signals_unread_max=3)
    turn_id = await rows.turn("s", "running", attempt=1)
    repeated = await rows.turn("s", "duplicate", duplicate_of=turn_id)
    url = f"/v1/turns/{turn_id}/signals/go"
    first = await client.post(url, json=1, headers={"idempotency-key": "k"})

    answers = await asyncio.gather(*(client.post(url, json=1) for _ in range(9)))
    again = await client.post(url, json=1, headers={"idempotency-key": "k"})
    by_another_name = await client.post(f"/v1/turns/{repeated}/signals/go", json=1)
    cancel = await client.post(f"/v1/turns/{turn_id}/cancel")

    assert sorted(answer.status_code for answer in answers) == [202] * 2 + [429] * 7
    refused = [answer for answer in (*answers, by_another_name) if answer.status_code != 202]
    assert {(each.json()["code"], each.json()["retryable"], each.headers["retry-after"]) for each in refused} == {
        ("too_many_signals", True, "1")
    }
    assert (again.status_code, again.json()) == (202, first.json())
    assert cancel.status_code == 202


async def test_a_repeated_signal_that_came_late_is_answered_as_the_first(
    client: httpx2.AsyncClient, rows: Rows
) -> None:
    turn_id = await rows.turn("s", "running", attempt=1)
    url, key = f"/v1/turns/{turn_id}/signals/go", {"idempotency-key": "k"}
    first = await client.post(url, json=1, headers=key)
    await rows.connection.execute("UPDATE turns SET status = 'completed', ended_at = now() WHERE turn_id = $1", turn_id)
    await rows.connection.execute("UPDATE inbox SET state = 'late', payload = NULL WHERE turn_id = $1", turn_id)

    again = await client.post(url, json=1, headers=key)

    assert (again.status_code, again.json()["signal_id"]) == (202, first.json()["signal_id"])


async def test_a_turn_that_is_not_here_yet_is_sent_no_more_signals_than_it_may_have(
    open_gateway: OpenGateway, rows: Rows
) -> None:
    client = await open_gateway(signals_unread_max=3)
    turn_id = rows.mint("s")
    url = f"/v1/turns/{turn_id}/signals/go"
    first = await client.post(url, json=1, headers={"idempotency-key": "k"})

    answers = await asyncio.gather(*(client.post(url, json=1) for _ in range(9)))
    again = await client.post(url, json=1, headers={"idempotency-key": "k"})
    cancel = await client.post(f"/v1/turns/{turn_id}/cancel")

    assert sorted(answer.status_code for answer in answers) == [202] * 2 + [429] * 7
    assert (again.status_code, again.json()) == (202, first.json())
    assert cancel.status_code == 202


async def test_a_parked_turn_that_nobody_takes_up_is_sent_no_more_resumes_than_it_may_have(
    open_gateway: OpenGateway, rows: Rows
) -> None:
    client = await open_gateway(signals_unread_max=2)
    turn_id = await rows.turn("s", "parked", attempt=1)
    url = f"/v1/turns/{turn_id}/resume"

    answers = [await client.post(url, headers={"idempotency-key": key}) for key in ("a", "b", "c", "a")]

    assert [answer.status_code for answer in answers] == [202, 202, 429, 202]
    assert len(await rows.inbox(turn_id)) == 2


async def test_parked_turns_of_one_reason_are_resumed_together(client: httpx2.AsyncClient, rows: Rows) -> None:
    mine = [await rows.turn(f"s{number}", "parked", attempt=1, seq=4, reason="no_build") for number in range(3)]
    others = [await rows.turn("t", "parked", attempt=1, reason="poison"), await rows.turn("u", "suspended")]

    first = await client.post("/v1/turns:resume?reason=no_build&limit=2")
    second = await client.post("/v1/turns:resume?reason=no_build&limit=2")
    third = await client.post("/v1/turns:resume?reason=no_build")

    said = [each.json() for each in (first, second, third)]
    assert [each.status_code for each in (first, second, third)] == [202] * 3
    assert said == [
        {"resumed": 2, "has_more": True},
        {"resumed": 1, "has_more": False},
        {"resumed": 0, "has_more": False},
    ]
    assert [[row["kind"] for row in await rows.inbox(each)] for each in mine] == [["resume"]] * 3
    assert [await rows.inbox(each) for each in others] == [[], []]


async def test_a_resume_of_all_whose_code_has_changed_leaves_those_that_a_graph_has_otherwise(
    client: httpx2.AsyncClient, rows: Rows
) -> None:
    changed, restored = mismatch("the outcome of 'a'", "returned"), written_otherwise("graph:write", "g")
    mine = await rows.turn("s", "parked", attempt=1, seq=4, reason=changed.reason)
    other = await rows.turn("t", "parked", attempt=1, seq=4, reason=restored.reason)

    answer = await client.post("/v1/turns:resume?reason=history_mismatch")

    assert answer.json() == {"resumed": 1, "has_more": False}
    assert [[row["kind"] for row in await rows.inbox(each)] for each in (mine, other)] == [["resume"], []]


async def test_under_one_key_a_turn_is_resumed_once_also_when_it_is_parked_again(
    client: httpx2.AsyncClient, rows: Rows
) -> None:
    turn_id = await rows.turn("s", "parked", attempt=1, seq=4, reason="no_build")
    url, key = "/v1/turns:resume?workflow=echo", {"idempotency-key": "sweep"}
    await client.post(url, headers=key)
    await rows.connection.execute("UPDATE inbox SET state = 'consumed'")
    await rows.connection.execute("UPDATE turns SET seq = 9 WHERE turn_id = $1", turn_id)

    again = await client.post(url, headers=key)
    other = await client.post(url, headers={"idempotency-key": "another"})

    assert (again.json()["resumed"], other.json()["resumed"]) == (0, 1)


@pytest.mark.parametrize("query", ["reason=", "limit=0", "limit=1001", "reasons=x", "workflow=" + "x" * 300])
async def test_a_resume_of_many_that_is_not_meant_so_is_refused(client: httpx2.AsyncClient, query: str) -> None:
    assert (await client.post(f"/v1/turns:resume?{query}")).status_code == 400
