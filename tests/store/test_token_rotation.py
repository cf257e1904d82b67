"""A token's successor: with what rights, for how long, and that there is one."""

from datetime import timedelta

import pytest

from argosy.identity.errors import (
    TokenNotFoundError,
    TokenRotatedError,
)
from argosy.store.identity import TokenRow
from tests.store.identities import DAY_S, TENANT, Store, act, behind, new, outcomes, successor, write


async def test_a_rotation_gives_the_same_rights_and_lets_both_live_for_a_while(store: Store) -> None:
    token, next_one = await store.token(), successor()
    made = await store.identities.rotate_token(token.token_id, TENANT, next_one, DAY_S, act("token.rotate"))
    old = await store.found(token)

    assert made[2:8] == token[2:8]
    assert (made.token_id, made.hash, made.hint) == next_one[:3]
    assert made.expires_at == made.created_at + timedelta(days=90)
    assert old.replaced_by == made.token_id
    assert old.expires_at == made.created_at + timedelta(days=1)
    assert token.change_no < old.change_no < made.change_no


async def test_a_rotation_does_not_lengthen_the_life_of_the_old_one(store: Store) -> None:
    token = await store.identities.create_token(new(lifetime_s=3_600.0), act("token.create"))
    made = await store.identities.rotate_token(token.token_id, TENANT, successor(), 30 * DAY_S, act())

    assert (await store.found(token)).expires_at == token.expires_at
    assert made.expires_at == made.created_at + timedelta(hours=1)


@pytest.mark.parametrize("lifetime_s", [None, 90 * DAY_S])
async def test_a_successor_lives_for_as_long_as_is_allowed_now(store: Store, lifetime_s: float | None) -> None:
    token = await store.identities.create_token(new(lifetime_s=lifetime_s), act("token.create"))
    made = await store.identities.rotate_token(token.token_id, TENANT, successor(DAY_S), 60.0, act())

    assert made.expires_at == made.created_at + timedelta(days=1)


async def test_a_token_that_has_ended_gets_no_successor(store: Store) -> None:
    revoked, expired = await store.token(), await store.token()
    await store.identities.revoke_token(revoked.token_id, TENANT, act())
    await store.rows(
        "UPDATE tokens SET expires_at = clock_timestamp() WHERE token_id = $1 RETURNING 1", expired.token_id
    )

    for token in (revoked, expired):
        with pytest.raises(TokenNotFoundError, match="has ended"):
            await store.identities.rotate_token(token.token_id, TENANT, successor(), DAY_S, act())
    assert len(await store.identities.list_tokens(TENANT, None, 10)) == 2


async def test_of_rotations_at_once_one_makes_a_successor(store: Store) -> None:
    token = await store.token()
    rotate = store.identities.rotate_token
    done = await outcomes(
        store, *(rotate(token.token_id, TENANT, successor(), DAY_S, act("token.rotate")) for _ in range(8))
    )

    (made,) = [each for each in done if isinstance(each, TokenRow)]
    assert done.count(TokenRotatedError) == 7
    assert (await store.found(token)).replaced_by == made.token_id
    assert len(await store.identities.list_tokens(TENANT, None, 10)) == 2
    assert [action for action, _ in await store.told()] == ["token.create", "token.rotate"]


async def test_a_token_that_is_revoked_while_it_is_rotated_is_revoked(store: Store) -> None:
    token, next_one = await store.token(), successor()
    rotation, values = write("rotate_token", token.token_id, TENANT, *next_one, DAY_S, 5, *act("token.rotate"))
    revoke = store.identities.revoke_token
    await behind(store, rotation, lambda: revoke(token.token_id, TENANT, act()), *values)

    old = await store.found(token)
    assert old.revoked_at is not None
    assert old.replaced_by == next_one.token_id


async def test_a_token_that_is_rotated_while_it_is_revoked_gets_no_successor(store: Store) -> None:
    token = await store.token()
    revocation, values = write("revoke_token", token.token_id, TENANT, *act())
    rotate = store.identities.rotate_token
    with pytest.raises(TokenNotFoundError):
        await behind(
            store, revocation, lambda: rotate(token.token_id, TENANT, successor(), DAY_S, act("token.rotate")), *values
        )

    assert (await store.found(token)).revoked_at is not None
    assert len(await store.identities.list_tokens(TENANT, None, 10)) == 1


async def test_a_write_that_is_sent_again_answers_as_before(store: Store) -> None:
    made, next_one = new(), successor()
    first = await store.identities.create_token(made, act("token.create"))
    assert await store.identities.create_token(made, act("token.create")) == first

    rotated = await store.identities.rotate_token(made.token_id, TENANT, next_one, DAY_S, act("token.rotate"))
    again = await store.identities.rotate_token(made.token_id, TENANT, next_one, DAY_S, act("token.rotate"))

    assert again == rotated
    assert [action for action, _ in await store.told()] == ["token.create", "token.rotate"]
