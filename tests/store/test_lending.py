"""How a turn goes on that comes back from its borrower: its row says so, whoever asks, and however often."""

import uuid
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from argosy.clock import SystemClock
from argosy.config import load
from argosy.store.build import Builds, Loan, Loans
from argosy.store.pool import Pool, open_pool
from argosy.workers.dispatch.builds.abilities import Abilities
from argosy.workers.dispatch.builds.lending import Lending
from argosy.workers.dispatch.elsewhere import Elsewhere
from argosy.workers.dispatch.owned import Owned, Resume
from tests.dispatch.known_workers_stub import KnownWorkersStub
from tests.dispatch.said import Said, settings_of
from tests.store.conftest import OpenHand
from tests.store.hand import LANE, Hand, New
from tests.store.test_flush import running


@pytest.fixture
async def pool(hand: Hand) -> AsyncIterator[Pool]:
    async with open_pool(load({}), hand.dsn) as pool:
        yield pool


class Owner:
    """The lending part of an owner, and what it says of turns that come back."""

    def __init__(self, hand: Hand, pool: Pool, *, lives: bool) -> None:
        self.said = Said()
        self.loans = Loans(pool, hand.worker_id, LANE, input_size_bytes_max=100)
        abilities = Abilities(Builds(pool), hand.worker_id, LANE, KnownWorkersStub(lambda _: lives))
        admission: Any = SimpleNamespace(is_open=True)
        settings = settings_of(build_wait_s=60, lent_turns_max=10)
        self.lending = Lending(self.loans, abilities, Elsewhere(), admission, SystemClock(), settings, self.said)

    @property
    def taken_up(self) -> dict[uuid.UUID, Resume | None]:
        """How each turn goes on of which the loan is over."""
        return {back.turn_id: back.resume for back in self.said.of("after_loan")}


async def _lent(hand: Hand, pool: Pool, borrower: Hand, *, lives: bool) -> tuple[Owner, New, Loan]:
    """A turn that runs at a borrower; what takes it back."""
    turn, owner = New("a"), Owner(hand, pool, lives=lives)
    await running(hand, turn)
    epoch = hand.epochs[turn.partition]
    loan = Loan(turn.partition, epoch, turn.turn_id, None, borrower.worker_id, 1, Resume.MOVED.value)
    assert await owner.loans.change([loan])
    owned = Owned(turn.partition, epoch, (0, 1023))
    owner.lending.found(turn.turn_id, uuid.uuid4(), 0, borrower.worker_id, owned)
    return owner, turn, loan


async def test_a_turn_whose_take_back_got_no_answer_begins_again(
    hand: Hand,
    pool: Pool,
    open_hand: OpenHand,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Committed, and the connection is lost: the next look finds it taken back already."""
    owner, turn, _ = await _lent(hand, pool, await open_hand(), lives=False)
    change = owner.loans.change

    async def unanswered(loans: Any) -> Any:
        await change(loans)
        raise ConnectionResetError

    monkeypatch.setattr(owner.loans, "change", unanswered)
    with pytest.raises(ConnectionResetError):
        await owner.lending.look()
    monkeypatch.setattr(owner.loans, "change", change)
    await owner.lending.look()

    assert owner.taken_up == {turn.turn_id: Resume.CRASHED}


async def test_a_turn_that_its_borrower_gives_back_goes_on_with_the_same_attempt(
    hand: Hand,
    pool: Pool,
    open_hand: OpenHand,
) -> None:
    borrower = await open_hand()
    owner, turn, _ = await _lent(hand, pool, borrower, lives=True)

    await Loans(pool, borrower.worker_id, LANE, input_size_bytes_max=100).give_back([turn.turn_id])
    await owner.lending.look()

    assert owner.taken_up == {turn.turn_id: Resume.MOVED}


async def test_a_turn_whose_borrower_was_refused_begins_again(
    hand: Hand,
    pool: Pool,
    open_hand: OpenHand,
) -> None:
    """What its steps came to there is lost."""
    borrower = await open_hand()
    owner, turn, _ = await _lent(hand, pool, borrower, lives=True)
    theirs = Loans(pool, borrower.worker_id, LANE, input_size_bytes_max=100)

    await theirs.give_back([turn.turn_id], Resume.UNHEARD.value)
    await owner.lending.look()

    assert owner.taken_up == {turn.turn_id: Resume.UNHEARD}
