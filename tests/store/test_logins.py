"""Logins: what makes one, what ends one, and that a copy by change numbers misses nothing."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from argosy.errors import OwnershipLostError
from argosy.identity.api_token import TokenKind, digest, mint
from argosy.store.audit import Act, list_audit
from argosy.store.identity import Identities
from argosy.store.logins import LoginRow, Logins, NewLogin
from argosy.store.migrate import after_restore
from argosy.store.pool import Pool
from tests.maintenance.term import term_of

DAY_S: Final = 86_400.0


@pytest.fixture
async def pool(store_dsn: str) -> AsyncIterator[Pool]:
    pool = Pool(store_dsn, 8, 30.0)
    yield pool
    await pool.close()


def act(action: str = "login") -> Act:
    return Act("token", "who", None, "default", action, source="192.0.2.1")


def new(**changes: Any) -> NewLogin:
    made = NewLogin(
        digest(mint(TokenKind.LOGIN)), uuid.uuid4(), f"who-{uuid.uuid4()}", b"t" * 32, None, (), (), None,
        3_600.0, None, 60.0, 3, None, (),
    )  # fmt: skip
    return made._replace(**changes)


async def found(logins: Logins, row: LoginRow) -> LoginRow:
    now = await logins.find(row.hash)
    assert now is not None
    return now


async def test_a_login_ends_once_and_both_are_told(pool: Pool) -> None:
    logins, given = Logins(pool), new()
    made = await logins.create(given, act())

    assert await logins.create(given, act()) == made  # sent again
    assert await logins.revoke(made.hash, act("logout"))
    assert not await logins.revoke(made.hash, act("logout"))
    assert not await logins.revoke(b"x" * 32, act("logout"))

    ended = await found(logins, made)
    assert ended.revoked_at is not None
    assert ended.change_no > made.change_no
    assert [row.act.action for row in await list_audit(pool, None, None, 2)] == ["logout", "login"]


async def test_a_login_keeps_the_roles_of_an_issuers_user(pool: Pool) -> None:
    roles = ("user", "https://login.example|staff")

    made = await Logins(pool).create(new(issuer="https://login.example", token_hash=None, roles=roles), act())

    assert made.roles == (await found(Logins(pool), made)).roles == roles


async def test_a_login_lasts_no_longer_than_its_token(pool: Pool) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=100)

    short, long = await Logins(pool).create(new(ends_at=soon), act()), await Logins(pool).create(new(), act())

    assert short.expires_at == soon
    assert long.expires_at - long.created_at == timedelta(seconds=3_600)


async def test_one_more_than_allowed_ends_the_oldest_however_they_are_made(pool: Pool) -> None:
    logins, subject = Logins(pool), f"who-{uuid.uuid4()}"

    made = await asyncio.gather(*(logins.create(new(subject=subject), act()) for _ in range(8)))
    replacing = await logins.create(new(subject=subject, logins_max=10, replaces=max(made, key=_made_at).hash), act())

    left = [each for each in [await found(logins, row) for row in made] if each.revoked_at is None]
    assert sorted(left, key=_made_at) == [await found(logins, row) for row in sorted(made, key=_made_at)[-3:-1]]
    assert (await found(logins, replacing)).revoked_at is None


def _made_at(row: LoginRow) -> datetime:
    return row.created_at


async def test_who_reads_by_numbers_misses_no_end(pool: Pool) -> None:
    logins, since = Logins(pool), (await Identities(pool).changes_no()).no
    made = [await logins.create(new(), act()) for _ in range(5)]
    for row in made[::2]:
        await logins.revoke(row.hash, act("logout"))
    heard: dict[bytes, LoginRow] = {}

    while page := await logins.since(since, 2):
        heard |= {row.hash: row for row in page}
        since = page[-1].change_no

    assert heard == {row.hash: await found(logins, row) for row in made}
    assert heard == {row.hash: row for row in await logins.find_all([*heard, b"x" * 32])}
    assert since == (await Identities(pool).changes_no()).no


async def test_use_only_moves_the_idle_end_on_and_is_no_change(pool: Pool) -> None:
    logins = Logins(pool)
    row = await logins.create(new(), act())
    later, sooner = row.idle_until + timedelta(hours=1), row.idle_until - timedelta(hours=1)

    await logins.touch({row.hash: later})
    await logins.touch({row.hash: sooner})

    assert await found(logins, row) == row._replace(idle_until=later)


async def test_retention_forgets_logins_under_its_term_alone(pool: Pool, store_dsn: str) -> None:
    logins = Logins(pool)
    old, young = await logins.create(new(lifetime_s=0.0), act()), await logins.create(new(), act())
    await pool.execute("UPDATE logins SET expires_at = now() - interval '2 days' WHERE hash = $1", old.hash)
    term = await term_of(store_dsn, "retention")

    assert await logins.purge("retention", term, 3 * DAY_S, 10) == 0
    assert await logins.purge("retention", term, DAY_S, 10) == 1
    assert await logins.find(old.hash) is None
    assert await logins.find(young.hash) == young
    with pytest.raises(OwnershipLostError):
        await logins.purge("retention", term - 1, 0.0, 10)


async def test_after_a_restore_nobody_is_signed_in(pool: Pool, store_dsn: str) -> None:
    logins = Logins(pool)
    row = await logins.create(new(), act())

    await after_restore(store_dsn, 15.0)

    assert (await found(logins, row)).revoked_at is not None
