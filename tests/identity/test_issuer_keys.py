"""The keys of an issuer in a gateway: when they are fetched, and what a token is worth meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from argosy.gateway.access_tokens import AccessTokens, KeysAwayError, Trusted
from argosy.gateway.issuer_keys import IssuerKeys
from argosy.gateway.key_copy import KeyCopy
from argosy.gateway.key_fetch import Fetched, IssuerAwayError
from argosy.identity.access_token import BadTokenError
from argosy.identity.issuer import Issuer
from argosy.identity.signing_keys import keys_in
from tests.harness.hand_clock import WaitingClock, settled
from tests.identity.signed_tokens import Signer, set_of

ISSUER = Issuer("https://login.example", "argosy")
STALE_S_MAX = 86_400.0


class ScriptedIssuer:
    """Answers with a set, or not at all; counts how often it was asked."""

    def __init__(self, *signers: Signer) -> None:
        self.raw: bytes | None = set_of(*signers)
        self.asked = 0
        self.max_age_s: float | None = None
        self.holds = asyncio.Event()
        self.holds.set()

    async def fetch(self, etag: str) -> Fetched:
        self.asked += 1
        raw = self.raw
        await self.holds.wait()
        if raw is None:
            raise IssuerAwayError("no answer")
        return Fetched(keys_in(raw), raw, "", self.max_age_s)

    async def close(self) -> None:
        pass


class Gateway:
    """What one gateway has of the issuer."""

    def __init__(self, issuer: ScriptedIssuer, folder: Path, clock: WaitingClock) -> None:
        self.clock = clock
        self.keys = IssuerKeys(
            ISSUER.issuer, issuer, KeyCopy(folder, ISSUER.issuer, clock), clock, stale_s_max=STALE_S_MAX
        )
        self.tokens = AccessTokens([Trusted(ISSUER, self.keys)], clock)

    def claims(self) -> dict[str, object]:
        now_s = self.clock.now_s
        return {
            "iss": ISSUER.issuer, "aud": "argosy", "sub": "alice", "tenant": "acme", "iat": now_s, "exp": now_s + 3_600,
        }  # fmt: skip

    async def verdict(self, token: str) -> str:
        """Return `good`, `away`, or the code with which a token is refused."""
        try:
            if self.tokens.remembered(token.encode()) is None:
                await self.tokens.verify(token, token.encode())
        except BadTokenError as error:
            return error.code
        except KeysAwayError:
            return "away"
        return "good"


Opened = Callable[[ScriptedIssuer], AbstractAsyncContextManager[Gateway]]


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    @asynccontextmanager
    async def opening(issuer: ScriptedIssuer) -> AsyncIterator[Gateway]:
        gateway = Gateway(issuer, tmp_path, WaitingClock())
        await gateway.keys.open(is_needed=True)
        try:
            yield gateway
        finally:
            await gateway.keys.close()

    return opening


def kept_in(folder: Path) -> Path:
    (copy,) = folder.iterdir()
    return copy


async def test_a_token_with_a_new_key_is_good_at_once_although_the_keys_were_just_read(opened: Opened) -> None:
    old, new = Signer("old"), Signer("new")
    issuer = ScriptedIssuer(old)
    async with opened(issuer) as gateway:
        await gateway.clock.move(31)
        issuer.raw = set_of(old, new)

        assert await gateway.verdict(new.token(gateway.claims())) == "good"
        assert await gateway.verdict(old.token(gateway.claims())) == "good"
        assert issuer.asked == 2


async def test_a_thousand_invented_kids_cost_one_fetch_and_take_no_good_key_away(opened: Opened) -> None:
    good, stranger = Signer("good"), Signer("stranger")
    issuer = ScriptedIssuer(good)
    async with opened(issuer) as gateway:
        await gateway.clock.move(31)
        invented = [stranger.token(gateway.claims(), kid=f"kid-{number}") for number in range(1_000)]

        verdicts = await asyncio.gather(*(gateway.verdict(token) for token in invented))

        assert set(verdicts) == {"unknown_kid"}
        assert issuer.asked == 2
        assert await gateway.verdict(good.token(gateway.claims())) == "good"
        assert await gateway.verdict(invented[0]) == "unknown_kid"
        assert issuer.asked == 2


async def test_an_issuer_is_not_asked_again_within_half_a_minute_but_then_for_the_key_that_is_missing(
    opened: Opened,
) -> None:
    first, second = Signer("first"), Signer("second")
    issuer = ScriptedIssuer(first)
    async with opened(issuer) as gateway:
        issuer.raw = set_of(first, second)
        token = second.token(gateway.claims())

        assert await gateway.verdict(token) == "unknown_kid"  # after the second that a request waits
        assert issuer.asked == 1
        await gateway.clock.move(31)
        assert issuer.asked == 2
        assert await gateway.verdict(token) == "good"


async def test_a_key_that_the_issuer_takes_back_is_gone_with_every_token_that_it_signed(opened: Opened) -> None:
    kept, stolen = Signer("kept"), Signer("stolen")
    issuer = ScriptedIssuer(kept, stolen)
    async with opened(issuer) as gateway:
        token = stolen.token(gateway.claims())
        assert await gateway.verdict(token) == "good"
        issuer.raw = set_of(kept)

        await gateway.clock.move(330)

        assert issuer.asked == 2
        assert await gateway.verdict(token) == "unknown_kid"


async def test_another_key_under_the_same_kid_is_another_key(opened: Opened) -> None:
    before, after = Signer("key"), Signer("key")
    issuer = ScriptedIssuer(before)
    async with opened(issuer) as gateway:
        token = before.token(gateway.claims())
        assert await gateway.verdict(token) == "good"
        issuer.raw = set_of(after)

        await gateway.clock.move(330)

        assert await gateway.verdict(token) == "signature"
        assert await gateway.verdict(after.token(gateway.claims())) == "good"


async def test_while_the_issuer_is_away_its_keys_are_good_for_a_day(opened: Opened) -> None:
    signer = Signer("key")
    issuer = ScriptedIssuer(signer)
    async with opened(issuer) as gateway:
        issuer.raw = None
        await gateway.clock.move(330)
        assert issuer.asked == 2

        assert await gateway.verdict(signer.token(gateway.claims())) == "good"
        await gateway.clock.move(STALE_S_MAX - 340)
        assert await gateway.verdict(signer.token(gateway.claims())) == "good"
        remembered = signer.token(gateway.claims())
        assert await gateway.verdict(remembered) == "good"
        await gateway.clock.move(20)
        assert await gateway.verdict(remembered) == "away"


async def test_a_new_key_ends_nothing_that_another_one_signed(opened: Opened) -> None:
    old, new = Signer("old"), Signer("new")
    issuer = ScriptedIssuer(old)
    async with opened(issuer) as gateway:
        token = old.token(gateway.claims())
        held = await gateway.tokens.verify(token, b"held")
        issuer.raw = set_of(new, old)
        await gateway.clock.move(330)
        assert issuer.asked == 2
        assert held.has_key

        issuer.raw = set_of(new)
        await gateway.clock.move(330)
        assert issuer.asked == 3
        assert not held.has_key


async def test_an_issuer_that_is_away_is_asked_again_soon_and_then_ever_later(opened: Opened) -> None:
    issuer = ScriptedIssuer(Signer("key"))
    async with opened(issuer) as gateway:
        issuer.raw = None
        await gateway.clock.move(330)
        asked = []

        for _ in range(8):
            before = issuer.asked
            waited_s = 0
            while issuer.asked == before:
                await gateway.clock.move(1)
                waited_s += 1
            asked.append(waited_s)

        assert asked == [5, 10, 20, 40, 80, 160, 300, 300]


@pytest.mark.parametrize(
    ("max_age_s", "at_least_s", "at_most_s"), [(0.0, 53, 67), (600.0, 539, 661), (1e9, 3_239, 3_961)]
)
async def test_the_issuer_says_how_long_its_keys_hold_within_bounds(
    opened: Opened, max_age_s: float, at_least_s: int, at_most_s: int
) -> None:
    issuer = ScriptedIssuer(Signer("key"))
    issuer.max_age_s = max_age_s
    async with opened(issuer) as gateway:
        await gateway.clock.move(at_least_s)
        assert issuer.asked == 1
        await gateway.clock.move(at_most_s - at_least_s)
        assert issuer.asked == 2


async def test_a_gateway_that_starts_while_the_issuer_is_away_takes_the_copy_of_the_keys(
    opened: Opened, tmp_path: Path
) -> None:
    signer = Signer("key")
    async with opened(ScriptedIssuer(signer)):
        pass
    away = ScriptedIssuer()
    away.raw = None

    async with opened(away) as gateway:
        assert await gateway.verdict(signer.token(gateway.claims())) == "good"
    copy = kept_in(tmp_path)
    assert copy.stat().st_mode & 0o777 == 0o600
    copy.chmod(0o644)
    with pytest.raises(IssuerAwayError, match="no copy"):
        await Gateway(away, tmp_path, WaitingClock()).keys.open(is_needed=True)


async def test_a_copy_that_is_too_old_or_damaged_is_not_taken(opened: Opened, tmp_path: Path) -> None:
    async with opened(ScriptedIssuer(Signer("key"))):
        pass
    away = ScriptedIssuer()
    away.raw = None

    with pytest.raises(IssuerAwayError, match="no copy"):
        await Gateway(away, tmp_path, WaitingClock(1_000 + STALE_S_MAX + 1)).keys.open(is_needed=True)
    copy = kept_in(tmp_path)
    copy.write_bytes(copy.read_bytes()[:-20])
    with pytest.raises(IssuerAwayError, match="no copy"):
        await Gateway(away, tmp_path, WaitingClock()).keys.open(is_needed=True)


async def test_a_token_is_remembered_for_a_minute_and_never_beyond_its_end(opened: Opened) -> None:
    signer = Signer("key")
    async with opened(ScriptedIssuer(signer)) as gateway:
        long, short = (
            signer.token(gateway.claims()),
            signer.token({**gateway.claims(), "exp": gateway.clock.now_s + 10}),
        )
        for token in (long, short):
            await gateway.tokens.verify(token, token.encode())

        await gateway.clock.move(39)
        assert gateway.tokens.remembered(long.encode())
        assert gateway.tokens.remembered(short.encode())
        await gateway.clock.move(1)
        assert gateway.tokens.remembered(short.encode()) is None
        assert await gateway.verdict(short) == "expired"
        await gateway.clock.move(20)
        assert gateway.tokens.remembered(long.encode()) is None
        assert await gateway.verdict(long) == "good"


async def test_a_request_waits_for_the_fetch_that_is_under_way(opened: Opened) -> None:
    old, new = Signer("old"), Signer("new")
    issuer = ScriptedIssuer(old)
    async with opened(issuer) as gateway:
        issuer.raw = set_of(old, new)
        issuer.holds.clear()
        await gateway.clock.move(330)
        asking = asyncio.ensure_future(gateway.verdict(new.token(gateway.claims())))
        await settled()

        issuer.holds.set()

        assert await asking == "good"
        assert issuer.asked == 2
