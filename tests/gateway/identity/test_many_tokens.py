"""A copy that is read anew, because the database is another, ends no stream whose token, or login, is still good."""

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest

from argosy.gateway import identity_cache
from argosy.gateway.known_token import REVOKED, KnownToken
from argosy.gateway.open_requests import OpenRequest, OpenRequests
from argosy.store.identity import TokenRow
from argosy.store.logins import LoginRow
from tests.gateway.identity.test_identity_cache import LONG_AGO, Copy
from tests.gateway.identity.test_shared_source import login_row


@pytest.fixture(autouse=True)
def _pages_of_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity_cache, "PAGE_ROWS", 2)


class StoredLogins:
    """Logins as Postgres has them."""

    def __init__(self, *rows: LoginRow) -> None:
        self.rows = {row.hash: row for row in rows}

    async def find_all(self, digests: Sequence[bytes]) -> list[LoginRow]:
        return [self.rows[digest] for digest in digests if digest in self.rows]


def known(copy: Copy, key: bytes) -> KnownToken:
    token = copy.cache.find(key)
    assert token is not None
    return token


async def test_of_more_tokens_than_a_copy_has_those_of_streams_are_asked_for() -> None:
    copy = Copy(identity_tokens_max=5)
    keys = {name: copy.store.put(name) for name in ("kept", "revoked", "gone", "late", "unused")}
    await copy.cache.refresh()
    tokens = {name: known(copy, key) for name, key in keys.items()}
    opens, opened = OpenRequests(copy.cache, copy.clock), dict[str, OpenRequest]()
    with ExitStack() as stack:

        def open_one(name: str) -> None:
            opened[name] = stack.enter_context(opens.opened({"argosy.token": tokens[name]}))

        def open_late() -> None:
            if copy.store.asked.count("find_tokens") == 2:
                open_one("late")

        for name in ("kept", "revoked", "gone"):
            open_one(name)
        copy.store.lineage = 2
        for number in range(9):  # they fill the copy: what is written later is beyond it
            copy.store.put(f"new-{number}")
        for name in ("kept", "late", "unused"):
            copy.store.put(name)
        copy.store.revoke("revoked")
        del copy.store.tokens[keys["gone"]]
        copy.store.on_find_tokens = open_late
        await copy.cache.refresh()
        opens.check()

        assert {name: each.problem and each.problem.code for name, each in opened.items()} == {
            "kept": None, "revoked": "invalid_token", "gone": "invalid_token", "late": None
        }  # fmt: skip
        assert copy.store.asked.count("find_tokens") == 3, "two pages, and one for what was opened meanwhile"
    assert tokens["unused"].ends_at_ms != REVOKED, "nobody knows"
    assert copy.cache.find(keys["unused"]) is None
    assert await copy.cache.look_up(keys["unused"]) is not None


async def test_a_token_that_changes_between_two_pages_stays_the_one_that_streams_look_at() -> None:
    copy = Copy()
    key = copy.store.put("a")
    copy.store.put("b")
    await copy.cache.refresh()
    token = known(copy, key)
    copy.store.lineage = 2
    copy.store.put("c")
    read, pages = copy.store.tokens_since, list[int]()

    async def tokens_since(no: int, limit: int) -> list[TokenRow]:
        pages.append(no)
        rows = await read(no, limit)
        if len(pages) == 1:
            copy.store.revoke("a")
        return rows

    copy.store.tokens_since = tokens_since  # type: ignore[method-assign]
    await copy.cache.refresh()

    assert len(pages) > 1
    assert copy.cache.find(key) is token
    assert token.ends_at_ms == REVOKED


async def test_logins_of_streams_are_asked_for_and_others_forgotten() -> None:
    copy = Copy()
    await copy.cache.refresh()
    made_at = datetime.fromtimestamp(copy.clock.now_s, UTC)
    rows = {
        name: login_row(name.encode() * 8, made_at)._replace(idle_until=made_at + timedelta(hours=1), change_no=7)
        for name in ("good", "last", "gone", "rest")
    }
    logins = {name: copy.cache.logins.take(row) for name, row in rows.items()}
    opens, opened = OpenRequests(copy.cache, copy.clock), dict[str, OpenRequest]()
    with ExitStack() as stack:
        for name in ("good", "last", "gone"):
            opened[name] = stack.enter_context(opens.opened({"argosy.token": logins[name]}))
        copy.store.lineage = 2
        copy.cache.logins.stored = StoredLogins(  # type: ignore[assignment]
            rows["good"]._replace(change_no=3), rows["last"]._replace(change_no=4, revoked_at=LONG_AGO), rows["rest"]
        )
        await copy.cache.refresh()
        opens.check()

        assert {name: each.problem and each.problem.code for name, each in opened.items()} == {
            "good": None, "last": "invalid_token", "gone": "invalid_token"
        }  # fmt: skip
    assert copy.cache.logins.find(rows["rest"].hash) is None
    assert copy.cache.logins.find(rows["good"].hash) is logins["good"]
