"""Nothing that code raises ends or stops the loop of a worker, and a user who wants its end gets it."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from argosy import telemetry
from argosy.workers.dispatch import own_loop


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """uvloop leaves its own behind."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class SpeechlessError(BaseException):
    def __str__(self) -> str:
        raise SystemExit(7)


async def _raise(error: BaseException) -> None:
    raise error


async def _quiet_for_a_moment() -> str:
    await asyncio.sleep(0.01)
    return "undisturbed"


def _run(main: Callable[[], Coroutine[Any, Any, None]]) -> list[EventDict]:
    with capture_logs() as logged:
        own_loop.run(main())
    return logged


@pytest.mark.parametrize(
    ("error", "lines"),
    [(SystemExit(3), 1), (KeyboardInterrupt(), 1), (GeneratorExit(), 0), (SpeechlessError(), 0)],
    ids=lambda value: type(value).__name__,
)
def test_what_a_task_raises_is_for_who_awaits_it(error: BaseException, lines: int) -> None:
    seen: list[Any] = []

    async def main() -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, lambda: None)
        seen.extend(await asyncio.gather(_raise(error), _quiet_for_a_moment(), return_exceptions=True))

    logged = _run(main)

    assert seen == [error, "undisturbed"]
    assert [each["event"] for each in logged] == [telemetry.LOOP_LEFT] * lines


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("how", ["callback", "timer", "done callback", "task that nobody awaits"])
def test_what_a_callback_raises_is_said_and_the_loop_goes_on(how: str, error: BaseException) -> None:
    seen: list[str] = []

    def leave(*_: object) -> None:
        raise error

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, lambda: None)
        if how == "callback":
            loop.call_soon(leave)
        elif how == "timer":
            loop.call_later(0.001, leave)
        elif how == "done callback":
            asyncio.ensure_future(asyncio.sleep(0)).add_done_callback(leave)
        else:
            task = asyncio.ensure_future(_raise(error))
            await asyncio.sleep(0.001)
            del task
        seen.append(await _quiet_for_a_moment())

    logged = _run(main)

    assert seen == ["undisturbed"]
    assert logged[0]["event"] == telemetry.LOOP_LEFT
    assert logged[0]["type"] == type(error).__name__
    assert "test_own_loop.py" in logged[0]["traceback"]


def test_a_loop_that_is_told_to_stop_goes_on() -> None:
    seen: list[str] = []

    async def main() -> None:
        asyncio.get_running_loop().stop()
        seen.append(await _quiet_for_a_moment())

    logged = _run(main)

    assert (seen, [each["event"] for each in logged]) == (["undisturbed"], [telemetry.LOOP_LEFT])


def test_a_signal_that_comes_while_the_loop_is_left_is_heard() -> None:
    heard: list[str] = []

    async def main() -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, heard.append, "signal")
        await asyncio.gather(_raise(SystemExit()), return_exceptions=True)
        await _quiet_for_a_moment()

    own_loop.run(main(), lambda _: os.kill(os.getpid(), signal.SIGUSR1))

    assert heard == ["signal"]


def test_what_exits_when_it_is_cancelled_at_the_end_does_not_change_the_end() -> None:
    ended: list[str] = []

    async def exits() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            sys.exit(9)

    async def ends() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("cleaned up")

    async def main() -> None:
        tasks.extend(map(asyncio.ensure_future, (exits(), ends())))
        await asyncio.sleep(0)

    tasks: list[asyncio.Future[None]] = []
    logged = _run(main)

    assert ended == ["cleaned up"]
    assert [each["event"] for each in logged] == [telemetry.LOOP_LEFT]


@pytest.mark.parametrize("error", [SystemExit(5), ValueError("no")], ids=lambda error: type(error).__name__)
def test_what_main_raises_is_raised(error: BaseException) -> None:
    with pytest.raises(type(error)) as raised:
        own_loop.run(_raise(error))

    assert raised.value is error


def test_ctrl_c_ends_it_as_long_as_nobody_handles_it() -> None:
    ended: list[str] = []
    interrupt = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))

    async def main() -> None:
        interrupt.start()
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("cleaned up")

    with pytest.raises(KeyboardInterrupt):
        own_loop.run(main())

    assert ended == ["cleaned up"]


def test_what_python_would_print_is_said_in_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    class Exits:
        def __del__(self) -> None:
            raise SystemExit(4)

    async def main() -> None:
        Exits()
        task = asyncio.ensure_future(_raise(ValueError("nobody awaits this")))
        await asyncio.sleep(0.001)
        del task

    logged = _run(main)

    assert [(each["event"], each.get("type")) for each in logged] == [
        (telemetry.UNRAISABLE, "SystemExit"),
        (telemetry.LOOP_UNHANDLED, None),
    ]
    assert capfd.readouterr() == ("", "")


def test_what_a_finalizer_raises_is_not_said_where_it_runs() -> None:
    """That may be in the middle of a line of the log, whose lock its thread holds: the worker would stand still."""

    class Freed:
        def __del__(self) -> None:
            raise ValueError("at its end")

    said = []

    async def main() -> None:
        with capture_logs() as logged:
            Freed()
            asyncio.get_running_loop().call_exception_handler({"message": "never retrieved"})
            said.append(len(logged))
            await asyncio.sleep(0.01)
            said.extend(each["event"] for each in logged)

    own_loop.run(main())

    assert said == [0, telemetry.UNRAISABLE, telemetry.LOOP_UNHANDLED]
