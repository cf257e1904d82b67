"""The audit is only added to, within bounds, and a tenant sees its own."""

import asyncpg
import pytest

from argosy.errors import OwnershipLostError
from argosy.store.audit import REFUSALS_MAX, Refusals, audit, list_audit, note_refusals, purge_audit
from tests.maintenance.term import term_of
from tests.store.identities import DAY_S, TENANT, Store, act


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit SET reason = 'other'", "DELETE FROM audit", "TRUNCATE audit", "DELETE FROM audit WHERE at < now()"],
)
async def test_the_audit_is_only_added_to(store: Store, statement: str) -> None:
    await audit(store.pool, act("tenant.act_as", "acme"))

    with pytest.raises(asyncpg.PostgresError, match="only added to"):
        await store.pool.execute(statement)
    assert await store.told() == [("tenant.act_as", "acme")]


async def test_the_audit_is_read_from_the_newest_on_and_a_tenants_alone(store: Store) -> None:
    for number in range(4):
        await audit(store.pool, act("tenant.act_as", str(number), ("acme", TENANT)[number % 2]))

    page = await list_audit(store.pool, None, None, 3)
    assert [each.act.target for each in page] == ["3", "2", "1"]
    assert [each.act.target for each in await list_audit(store.pool, None, page[-1].no, 3)] == ["0"]
    assert [each.act.target for each in await list_audit(store.pool, "acme", None, 3)] == ["2", "0"]
    assert page[0].act == act("tenant.act_as", "3")
    assert page[0].number == 1


async def test_texts_of_anybody_are_cut_and_stored(store: Store) -> None:
    await audit(store.pool, act("a\0b\ud800" + "x" * 1_000, "y" * 1_000, "z" * 1_000))

    (row,) = await list_audit(store.pool, None, None, 1)
    assert row.act.action == ("ab?" + "x" * 1_000)[:64]
    assert (row.act.target, row.act.tenant) == ("y" * 300, "z" * 63)


async def test_refusals_are_noted_with_their_number_and_no_more_of_them_than_is_allowed(store: Store) -> None:
    refused = [Refusals(act("request", str(number)), number + 1) for number in range(REFUSALS_MAX + 5)]
    await note_refusals(store.pool, [])
    await note_refusals(store.pool, refused)

    assert await store.rows("SELECT count(*), max(count) FROM audit") == [(REFUSALS_MAX, REFUSALS_MAX)]
    (newest,) = await list_audit(store.pool, None, None, 1)
    assert (newest.act, newest.number) == (refused[REFUSALS_MAX - 1].act, REFUSALS_MAX)


async def test_retention_forgets_what_is_old_under_its_term_alone(store: Store) -> None:
    tokens = [await store.token() for _ in range(4)]
    await store.identities.revoke_token(tokens[0].token_id, TENANT, act())
    ended = "UPDATE tokens SET {} = now() - interval '40 days' WHERE token_id = $1 RETURNING 1"
    await store.rows(ended.format("revoked_at"), tokens[0].token_id)
    await store.rows(ended.format("expires_at"), tokens[1].token_id)
    await store.rows("UPDATE tokens SET expires_at = NULL WHERE token_id = $1 RETURNING 1", tokens[2].token_id)
    term = await term_of(store.dsn, "retention")

    assert await store.identities.purge_tokens("retention", term, 41 * DAY_S, 10) == 0
    assert await store.identities.purge_tokens("retention", term, 39 * DAY_S, 1) == 1
    assert await store.identities.purge_tokens("retention", term, 39 * DAY_S, 10) == 1
    left = {each.token_id for each in await store.identities.list_tokens(None, None, 10)}
    assert left == {each.token_id for each in tokens[2:]}

    told = len(await store.told())
    assert await purge_audit(store.pool, "retention", term, 60.0, 100) == 0
    assert await purge_audit(store.pool, "retention", term, 0.0, 2) == 2
    assert len(await store.told()) == told - 2
    for late in (store.identities.purge_tokens, lambda *a: purge_audit(store.pool, *a)):
        with pytest.raises(OwnershipLostError):
            await late("retention", term - 1, 0.0, 10)
