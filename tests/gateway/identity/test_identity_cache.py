"""The copy of tokens never believes in one that has ended, in whatever order answers come."""

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from argosy import config
from argosy.errors import StoreUnavailableError
from argosy.gateway.identity_cache import IdentityCache
from argosy.gateway.known_token import REVOKED
from argosy.gateway.open_requests import OpenRequests
from argosy.gateway.problems import Problem
from argosy.identity.tenant import TenantState
from argosy.store.identity import Changes, RevocationRow, TenantRow, TokenRow
from argosy.store.logins import LoginRow
from tests.harness.hand_clock import HandClock, settled

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
TTL_S = 0.2


class NoLogins:
    """Nobody has signed in."""

    async def since(self, no: int, limit: int) -> list[LoginRow]:
        return []


class Store:
    """Tokens and tenants as Postgres has them. gate: answers of find_token wait for it, with what they read before."""

    def __init__(self) -> None:
        self.lineage, self.no = 1, 0
        self.tokens: dict[bytes, TokenRow] = {}
        self.tenants: dict[str, TenantRow] = {}
        self.is_away = False
        self.asked: list[str] = []
        self.touched: dict[uuid.UUID, datetime] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.logins = NoLogins()
        self.on_find_tokens: Callable[[], None] = lambda: None

    def _next(self) -> int:
        self.no += 1
        return self.no

    def put(self, name: str, **changes: Any) -> bytes:
        key = name.encode()
        old = self.tokens.get(key) or TokenRow(
            uuid.uuid4(), key, None, name, "operator", (), None, None, "hint", LONG_AGO, "test", None, None, None, None,
            None, 0, None,
        )  # fmt: skip
        self.tokens[key] = old._replace(change_no=self._next(), **changes)
        return key

    def revoke(self, name: str) -> None:
        self.put(name, revoked_at=LONG_AGO)

    def tenant(self, name: str, state: TenantState) -> None:
        self.tenants[name] = TenantRow(name, state, LONG_AGO, self._next())

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.is_away:
            raise StoreUnavailableError("away")

    async def changes_no(self) -> Changes:
        self._ask("changes")
        return Changes(self.lineage, self.no)

    async def tokens_since(self, no: int, limit: int) -> list[TokenRow]:
        self._ask("tokens")
        return sorted((row for row in self.tokens.values() if row.change_no > no), key=lambda row: row.change_no)[
            :limit
        ]

    async def revocations_since(self, no: int, limit: int) -> list[RevocationRow]:
        self._ask("revocations")
        return []

    async def tenants_since(self, no: int, limit: int) -> list[TenantRow]:
        self._ask("tenants")
        return [row for row in self.tenants.values() if row.change_no > no][:limit]

    async def find_token(self, digest: bytes) -> tuple[TokenRow, TenantRow | None] | None:
        self._ask("find")
        row = self.tokens.get(digest)
        await self.gate.wait()
        return None if row is None else (row, None)

    async def find_tokens(self, digests: Sequence[bytes]) -> list[TokenRow]:
        self._ask("find_tokens")
        self.on_find_tokens()
        return [row for digest in digests if (row := self.tokens.get(digest)) is not None]

    async def get_tenant(self, name: str) -> TenantRow | None:
        self._ask("tenant")
        return self.tenants.get(name)

    async def touch_tokens(self, used: Mapping[uuid.UUID, datetime]) -> None:
        self._ask("touch")
        self.touched |= used


class Copy:
    """A cache over a store, with a clock of the test's."""

    def __init__(self, **settings: Any) -> None:
        self.store, self.clock = Store(), HandClock(1_700_000_000.0)
        given = config.load({}, state_db_uri="postgresql://nowhere/x").model_copy(
            update={"gateway_cache_s": 2.0, **settings}
        )
        self.cache = IdentityCache(given, self.store, 2.0, self.clock)  # type: ignore[arg-type]


async def test_what_was_written_is_known_after_the_next_read() -> None:
    copy = Copy()
    key = copy.store.put("a")
    copy.store.tenant("t", TenantState.ACTIVE)
    await copy.cache.refresh()
    token = copy.cache.find(key)
    copy.store.revoke("a")
    copy.store.tenant("t", TenantState.SUSPENDED)
    await copy.cache.refresh()

    assert token is not None
    assert token is copy.cache.find(key), "whoever holds it sees that it ended"
    assert token.ends_at_ms == REVOKED
    assert copy.cache.inactive == {"t": TenantState.SUSPENDED}


async def test_without_changes_a_read_is_one_question() -> None:
    copy = Copy()
    copy.store.put("a")
    await copy.cache.refresh()
    copy.store.asked.clear()
    await copy.cache.refresh()

    assert copy.store.asked == ["changes"]


@pytest.mark.parametrize("tokens_max", [200_000, 1])
async def test_a_look_up_that_is_overtaken_by_a_revocation_brings_nothing_back(tokens_max: int) -> None:
    copy = Copy(identity_tokens_max=tokens_max)
    await copy.cache.refresh()
    key = copy.store.put("a")
    copy.store.put("b")
    copy.store.put("c")
    copy.store.gate.clear()
    looking = asyncio.create_task(copy.cache.look_up(key))  # it has read that the token is good
    await settled()
    copy.store.revoke("a")
    await copy.cache.refresh()
    copy.store.gate.set()
    token = await looking

    assert token is not None
    assert token.ends_at_ms == REVOKED
    assert copy.cache.find(key) is token


async def test_a_row_that_comes_late_undoes_nothing() -> None:
    copy = Copy()
    key = copy.store.put("a")
    old = copy.store.tokens[key]
    copy.store.revoke("a")
    await copy.cache.refresh()
    token = copy.cache.find(key)
    assert token is not None

    token.update(old)

    assert token.ends_at_ms == REVOKED


async def test_a_database_that_went_back_is_read_anew() -> None:
    copy = Copy()
    gone, kept, back = [copy.store.put(name) for name in ("gone", "kept", "back")]
    await copy.cache.refresh()
    was = copy.cache.find(gone)
    copy.store.revoke("back")
    await copy.cache.refresh()
    copy.store.lineage, copy.store.no = 2, 2
    del copy.store.tokens[gone]
    copy.store.tokens[back] = copy.store.tokens[back]._replace(revoked_at=None, change_no=1)
    copy.store.tokens[kept] = copy.store.tokens[kept]._replace(change_no=2)
    await copy.cache.refresh()

    assert copy.cache.find(gone) is None
    assert was is not None
    assert was.ends_at_ms == REVOKED, "streams that have it end"
    for key in (kept, back):
        token = copy.cache.find(key)
        assert token is not None
        assert token.ends_at_ms != REVOKED


async def test_what_is_known_stands_for_so_long_without_postgres() -> None:
    copy = Copy(identity_stale_s_max=300.0)
    key = copy.store.put("a")
    await copy.cache.refresh()
    copy.store.is_away = True
    copy.clock.now_s += 300
    await copy.cache.refresh()
    assert not copy.cache.is_stale
    copy.clock.now_s += 0.1
    assert copy.cache.is_stale
    assert copy.cache.find(key) is not None

    copy.store.is_away = False
    await copy.cache.refresh()
    assert not copy.cache.is_stale


async def test_before_the_first_read_nothing_is_believed() -> None:
    copy = Copy()
    copy.store.is_away = True
    await copy.cache.refresh()

    assert copy.cache.is_stale
    assert copy.cache.age_s is None


async def test_with_a_bound_of_0_reads_that_succeed_are_enough() -> None:
    copy = Copy(identity_stale_s_max=0.0)
    await copy.cache.refresh()
    copy.clock.now_s += 3.9
    assert not copy.cache.is_stale
    copy.clock.now_s += 0.2
    assert copy.cache.is_stale


async def test_an_unknown_token_is_no_question_while_postgres_does_not_answer() -> None:
    copy = Copy()
    await copy.cache.refresh()
    copy.store.is_away = True
    copy.clock.now_s += 7
    copy.store.asked.clear()

    with pytest.raises(Problem) as raised:
        await copy.cache.look_up(b"new")
    assert (raised.value.code, raised.value.retry_after_s) == ("identity_unavailable", 1.0)
    assert copy.store.asked == []


async def test_more_tokens_than_it_may_have_are_looked_up_and_the_last_used_kept() -> None:
    copy = Copy(identity_tokens_max=3)
    keys = [copy.store.put(f"token-{number}") for number in range(6)]
    await copy.cache.refresh()
    known = [key for key in keys if copy.cache.find(key) is not None]
    assert len(known) == 3
    copy.cache.find(known[0])
    missing = next(key for key in keys if key not in known)

    assert await copy.cache.look_up(missing) is not None
    assert copy.cache.find(known[0]) is not None, "it was used last"
    assert copy.cache.find(known[1]) is None
    copy.store.revoke(keys[keys.index(known[0])].decode())
    await copy.cache.refresh()
    token = copy.cache.find(known[0])
    assert token is not None
    assert token.ends_at_ms == REVOKED


async def test_uses_are_written_but_not_each_minute() -> None:
    copy = Copy()
    key = copy.store.put("a")
    await copy.cache.refresh()
    token = copy.cache.find(key)
    assert token is not None

    for _ in range(6):
        copy.cache.used(token, copy.clock.unix_ms())
        copy.cache.used(token, copy.clock.unix_ms())
        await copy.cache.write_uses()
        copy.clock.now_s += 60

    assert copy.store.asked.count("touch") == 2
    assert list(copy.store.touched) == [token.token_id]


@pytest.mark.parametrize("how", ["revoked", "expired", "stale"])
async def test_open_requests_end_with_their_token_once(how: str) -> None:
    copy = Copy()
    key = copy.store.put("a", expires_at=datetime.fromtimestamp(copy.clock.now_s + 1_000, UTC))
    await copy.cache.refresh()
    scope = {"argosy.token": copy.cache.find(key)}
    ended: list[str] = []
    opens = OpenRequests(copy.cache, copy.clock)
    with opens.opened(scope) as opened, opens.opened({}) as locals_:
        opened.over.add_done_callback(lambda _: ended.append("it"))
        locals_.over.add_done_callback(lambda _: ended.append("a local's"))
        opens.check()
        await settled()
        assert ended == []
        if how == "revoked":
            copy.store.revoke("a")
            await copy.cache.refresh()
        elif how == "expired":
            copy.clock.now_s += 1_000
        else:
            copy.store.is_away = True
            copy.clock.now_s += 400
            await copy.cache.refresh()
        opens.check()
        opens.check()
        await settled()

        assert ended == ["it"]
        with pytest.raises(Problem) as raised:
            opened.check()
        assert raised.value.code == ("identity_unavailable" if how == "stale" else "invalid_token")
        assert opens.count == 1
    assert opens.count == 0


async def test_a_request_whose_token_ended_before_it_was_opened_is_not_opened() -> None:
    copy = Copy()
    key = copy.store.put("a")
    await copy.cache.refresh()
    scope = {"argosy.token": copy.cache.find(key)}
    copy.store.revoke("a")
    await copy.cache.refresh()

    with pytest.raises(Problem, match="no more"), OpenRequests(copy.cache, copy.clock).opened(scope):
        pytest.fail("it was opened")


async def test_a_token_of_an_open_request_is_not_forgotten() -> None:
    copy = Copy(identity_tokens_max=2)
    held, other = copy.store.put("held"), copy.store.put("other")
    await copy.cache.refresh()
    opens = OpenRequests(copy.cache, copy.clock)
    with opens.opened({"argosy.token": copy.cache.find(held)}) as opened:
        copy.cache.find(other)
        for number in range(3):
            copy.store.put(f"new-{number}")
            await copy.cache.refresh()
            await copy.cache.look_up(f"new-{number}".encode())
        opens.check()

        assert copy.cache.find(held) is not None
        assert opened.problem is None
