"""Who posts a turn is said in its record, under the record's MAC; clients are shown the kind and the id alone."""

import json
import uuid
from typing import Any

import httpx2
import msgspec
import pytest

from argosy import record
from argosy.config import Settings
from argosy.gateway.routes.batch import MEDIA_TYPE
from argosy.identity.scopes import SCOPES_OF, Role
from argosy.identity.turn_principal import LOCAL
from argosy.log import Record
from argosy.logs.open import macs_of
from argosy.logs.topic import turns_topic
from tests.gateway.identity.conftest import OpenGuarded
from tests.gateway.identity.tokens import Tokens
from tests.gateway.rows import Rows

ECHO = {"workflow": "echo", "input": 1}


async def in_log(rows: Rows, turn_id: str) -> Record:
    """The record of a turn, as it stands in the log."""
    row = await rows.connection.fetchrow(
        "SELECT key, value, headers FROM log_records WHERE position($1::bytea in value) > 0", uuid.UUID(turn_id).bytes
    )
    headers = msgspec.msgpack.decode(row["headers"], type=tuple[tuple[str, bytes], ...]) if row["headers"] else ()
    return Record(0, 0, row["key"], row["value"], headers)


async def posted(client: httpx2.AsyncClient, headers: dict[str, str], session: str = "s") -> list[str]:
    """Two turns, by either way."""
    one = await client.post(f"/v1/sessions/{session}/turns", json=ECHO, headers=headers)
    assert one.status_code == 202, one.text
    line = msgspec.json.encode({**ECHO, "session": session})
    many = await client.post("/v1/turns:batch", content=line, headers=headers | {"content-type": MEDIA_TYPE})
    return [one.json()["turn_id"], json.loads(many.text)["turn_id"]]


async def test_a_token_is_recorded_with_its_rights_and_limits_and_no_secret(
    guarded: httpx2.AsyncClient, tokens: Tokens, rows: Rows
) -> None:
    made = await tokens.make(Role.USER, sessions=["s*"], workflows=["echo"])

    for turn_id in await posted(guarded, made.headers):
        found = await in_log(rows, turn_id)
        assert json.loads(record.decode(found.value).created_by) == {
            "kind": "token", "id": str(made.token_id), "scopes": sorted(SCOPES_OF[Role.USER]),
            "sessions": ["s*"], "workflows": ["echo"],
        }  # fmt: skip
        assert made.token.encode() not in (found.value or b"")


async def test_it_is_under_the_mac_of_the_record(
    guarded: httpx2.AsyncClient, tokens: Tokens, rows: Rows, settings: Settings
) -> None:
    made = await tokens.make(Role.USER)
    macs = macs_of(settings.model_copy(update={"kg_auth_required": True}), turns_topic(settings))
    assert macs is not None
    (turn_id, _) = await posted(guarded, made.headers)
    found = await in_log(rows, turn_id)
    asked = msgspec.structs.replace(record.decode(found.value), created_by=LOCAL)

    kept = macs.checked(found)
    altered = macs.checked(found._replace(value=record.encode(asked)))

    assert (kept.fault, kept.is_proved) == (None, True)
    assert altered.fault is not None
    assert (altered.fault.code, altered.is_proved) == ("forged_record", False)


async def test_an_administrator_who_acts_as_a_tenant_posts_with_its_rights_alone(
    guarded: httpx2.AsyncClient, tokens: Tokens, rows: Rows, tenant: str
) -> None:
    made = await tokens.make_operator(Role.ADMIN)

    for turn_id in await posted(guarded, made.headers | {"x-argosy-tenant": tenant}):
        who = json.loads(record.decode((await in_log(rows, turn_id)).value).created_by)
        assert (who["kind"], who["id"]) == ("token", str(made.token_id))
        assert set(who["scopes"]) == set(SCOPES_OF[Role.TENANT])


async def test_where_nobody_is_asked_a_turn_is_of_a_local_user(client: httpx2.AsyncClient, rows: Rows) -> None:
    for turn_id in await posted(client, {}):
        assert record.decode((await in_log(rows, turn_id)).value).created_by == LOCAL


async def test_what_is_too_much_to_be_recorded_posts_nothing(open_guarded: OpenGuarded, tokens: Tokens) -> None:
    guarded = await open_guarded(turn_principal_size_bytes_max=1_024)
    long = await tokens.make(Role.USER, sessions=["s*", *(f"{number:03}" * 80 for number in range(4))])

    answer = await guarded.post("/v1/sessions/s/turns", json=ECHO, headers=long.headers)
    batch = await guarded.post(
        "/v1/turns:batch",
        content=msgspec.json.encode({**ECHO, "session": "s"}),
        headers=long.headers | {"content-type": MEDIA_TYPE},
    )

    for each in (answer, batch):
        assert (each.status_code, each.json()["code"]) == (413, "payload_too_large")
        assert "the bound is 1024" in each.json()["detail"]


WHO = {"kind": "token", "id": "a token's id", "scopes": ["turns:write"], "sessions": ["s*"]}


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        (json.dumps(WHO).encode(), {"kind": "token", "id": "a token's id"}),
        (LOCAL, {"kind": "local", "id": "local"}),
        (None, None),
        (b"\xff", None),
    ],
)
async def test_clients_are_shown_the_kind_and_the_id(
    guarded: httpx2.AsyncClient, tokens: Tokens, rows: Rows, stored: bytes | None, shown: Any
) -> None:
    made = await tokens.make(None, scopes=["turns:read", "sessions:read"])
    turn_id = await rows.turn("s", "completed", created_by=stored)

    one = await guarded.get(f"/v1/turns/{turn_id}", headers=made.headers)
    listed = await guarded.get("/v1/sessions/s/turns", headers=made.headers)

    assert one.json()["created_by"] == shown
    assert [each["created_by"] for each in listed.json()["turns"]] == [shown]
    assert "turns:write" not in one.text + listed.text


async def test_of_a_turn_that_is_only_in_the_log_nobody_is_known_yet(
    guarded: httpx2.AsyncClient, tokens: Tokens
) -> None:
    made = await tokens.make()
    (turn_id, _) = await posted(guarded, made.headers)

    assert (await guarded.get(f"/v1/turns/{turn_id}", headers=made.headers)).json()["created_by"] is None
