"""What each error of a loop means."""

import asyncio
import gc

import asyncpg
import msgspec
import pytest
import structlog

from argosy import errors
from argosy.rounds import Rounds, failing, kept
from argosy.store.fault import Fault, fault_of
from argosy.workers.dispatch.tasks import Background
from tests.harness.hand_clock import HandClock


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (errors.StoreUnavailableError("x"), Fault.AWAY),
        (errors.LogUnavailableError("x"), Fault.AWAY),
        (errors.StoreSlowError("x"), Fault.SLOW),
        (errors.FlushRefusedError("x"), Fault.CONTENT),
        (errors.FlushSlowError("x"), Fault.CONTENT),
        (errors.RecordError("x"), Fault.CONTENT),
        (errors.FencedError("x"), Fault.CONTENT),
        (errors.OwnershipLostError("x"), Fault.END),
        (errors.SettingError("x"), Fault.END),
        (asyncpg.DataError("x"), Fault.CONTENT),
        (asyncpg.exceptions._base.DataError("x"), Fault.CONTENT),  # what asyncpg cannot send
        (asyncpg.ProgramLimitExceededError("x"), Fault.CONTENT),
        (asyncpg.InternalServerError("invalid memory alloc request size"), Fault.CONTENT),
        (asyncpg.UniqueViolationError("x"), Fault.CONTENT),
        (asyncpg.OutOfMemoryError("x"), Fault.SLOW),
        (asyncpg.QueryCanceledError("x"), Fault.SLOW),
        (asyncpg.DeadlockDetectedError("x"), Fault.AWAY),
        (asyncpg.SerializationError("x"), Fault.AWAY),
        (asyncpg.DiskFullError("x"), Fault.AWAY),
        (asyncpg.TooManyConnectionsError("x"), Fault.AWAY),
        (asyncpg.AdminShutdownError("x"), Fault.AWAY),
        (asyncpg.ConnectionDoesNotExistError("x"), Fault.AWAY),
        (asyncpg.InterfaceError("connection is closed"), Fault.AWAY),
        (asyncpg.ReadOnlySQLTransactionError("x"), Fault.AWAY),
        (asyncpg.ObjectNotInPrerequisiteStateError("recovery is in progress"), Fault.AWAY),
        (asyncpg.LockNotAvailableError("x"), Fault.AWAY),
        (asyncpg.UndefinedTableError("x"), Fault.AWAY),
        (asyncpg.UndefinedColumnError("x"), Fault.BUG),
        (asyncpg.PostgresError("x"), Fault.BUG),
        (ConnectionResetError(), Fault.AWAY),
        (TimeoutError(), Fault.AWAY),
        (UnicodeDecodeError("utf-8", b"", 0, 1, "x"), Fault.CONTENT),
        (msgspec.DecodeError("x"), Fault.CONTENT),
        (MemoryError(), Fault.CONTENT),
        (RecursionError(), Fault.CONTENT),
        (KeyError("x"), Fault.BUG),
        (AssertionError(), Fault.BUG),
        (ExceptionGroup("x", [TimeoutError(), KeyError("x")]), Fault.BUG),
        (ExceptionGroup("x", [TimeoutError(), errors.OwnershipLostError("x")]), Fault.END),
    ],
    ids=lambda value: value.value if isinstance(value, Fault) else type(value).__name__,
)
def test_what_an_error_means(error: Exception, fault: Fault) -> None:
    assert fault_of(error) is fault


async def test_a_round_that_fails_is_waited_out_and_the_pause_grows_until_one_is_well() -> None:
    clock = HandClock()
    rounds = Rounds("a loop", clock)
    pauses = []
    for _ in range(8):
        before_s = clock.now_s
        async with rounds:
            raise KeyError
        pauses.append(clock.now_s - before_s)

    async with rounds:
        pass

    assert pauses == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0])
    assert rounds.delay_s == 0


async def _fail(rounds: Rounds, times: int, error: Exception) -> None:
    for _ in range(times):
        async with rounds:
            raise error


async def test_a_loop_that_fails_again_and_again_is_named_until_a_round_is_well() -> None:
    rounds = Rounds("a loop", HandClock())
    await _fail(rounds, 11, KeyError("x"))
    assert failing() == ""

    await _fail(rounds, 1, KeyError("x"))
    assert failing() == "a loop (KeyError)"

    async with rounds:
        pass
    assert failing() == ""


@pytest.mark.parametrize("error", [errors.StoreUnavailableError("x"), errors.StoreSlowError("x")])
async def test_a_loop_that_waits_for_somebody_who_is_away_is_not_named(error: Exception) -> None:
    rounds = Rounds("a loop", HandClock())

    await _fail(rounds, 100, error)

    assert failing() == ""


async def test_a_loop_that_fails_now_and_then_is_not_named_though_nobody_says_that_it_is_well() -> None:
    clock = HandClock()
    rounds = Rounds("a loop", clock)
    for _ in range(20):
        await _fail(rounds, 11, KeyError("x"))
        clock.now_s += 60.0

    assert failing() == ""

    await _fail(rounds, 12, KeyError("x"))
    assert failing() == "a loop (KeyError)"
    clock.now_s += 60.0
    assert failing() == ""


async def test_a_loop_that_is_gone_is_not_named() -> None:
    rounds = Rounds("a loop", HandClock())
    await _fail(rounds, 12, KeyError("x"))

    del rounds
    gc.collect()

    assert failing() == ""


async def test_what_must_end_the_process_and_a_cancellation_leave_the_loop() -> None:
    for error in (errors.OwnershipLostError("x"), errors.SettingError("x"), asyncio.CancelledError(), SystemExit()):
        with pytest.raises(type(error)):
            async with Rounds("a loop", HandClock()):
                raise error


async def test_a_loop_that_ended_by_an_error_is_begun_again() -> None:
    runs = []

    async def run() -> None:
        runs.append(1)
        if len(runs) < 4:
            raise ExceptionGroup("of its tasks", [KeyError("x")])

    await kept("a loop", run, HandClock())

    assert len(runs) == 4


async def test_an_error_with_a_bug_is_said_once_with_its_traceback() -> None:
    rounds = Rounds("a loop", HandClock())

    with structlog.testing.capture_logs() as said:
        for _ in range(3):
            async with rounds:
                raise KeyError("nobody thought of it")

    (event,) = said
    assert (event["event"], event["loop"], event["fault"]) == ("loop.error", "a loop", "bug")
    assert isinstance(event["exc_info"], KeyError)


async def test_a_task_in_the_background_that_must_end_the_process_does() -> None:
    async def fails() -> None:
        raise errors.OwnershipLostError("the database went back")

    background = Background(HandClock())
    task = asyncio.create_task(background.run())
    background.spawn(fails())

    with pytest.raises(errors.OwnershipLostError):
        await task
