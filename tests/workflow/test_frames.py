"""What is told of where an error came from."""

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import msgspec
import pytest

from argosy import StepFailedError, step
from argosy.workflow.frames import SIZE_BYTES_MAX, traceback_of, words_of
from tests.workflow.list_journal import ListJournal
from tests.workflow.running import run


def raised(function: Callable[..., Any], *arguments: Any) -> Exception:
    try:
        function(*arguments)
    except Exception as error:
        return error
    raise AssertionError("it did not raise")


def deep(row: dict[str, str]) -> str:
    password = "hunter2"
    return deeper(row) + password


def deeper(row: dict[str, str]) -> str:
    return row["id"]


def caused() -> None:
    try:
        deep({})
    except KeyError as error:
        raise RuntimeError("cannot load") from error


def on_the_way() -> None:
    try:
        deep({})
    except KeyError:
        raise RuntimeError("cannot say why")  # noqa: B904 — that is what this is about


def grouped() -> None:
    raise ExceptionGroup("two things", [raised(deep, {}), TypeError("second")])


def line_of(function: Callable[..., Any], offset: int = 1) -> str:
    return f"{__file__}:{function.__code__.co_firstlineno + offset}"


def test_the_innermost_frame_comes_first_with_its_source_and_no_value_of_a_variable() -> None:
    lines = traceback_of(raised(deep, {})).splitlines()

    assert lines[0] == "KeyError: 'id'"
    assert lines[1] == f'  at {line_of(deeper)} in deeper: return row["id"]'
    assert lines[2].startswith(f"  at {line_of(deep, 2)} in deep: ")
    assert "hunter2" not in "".join(lines)


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (caused, ["RuntimeError: cannot load", "caused by KeyError: 'id'", line_of(deeper)]),
        (on_the_way, ["RuntimeError: cannot say why", "while handling KeyError: 'id'", line_of(deeper)]),
        (grouped, ["ExceptionGroup: two things", "1 of 2:", line_of(deeper), "2 of 2:", "TypeError: second"]),
        (lambda: compile("a b", "flow.py", "exec"), ["SyntaxError", "flow.py:1: a b"]),
    ],
)
def test_what_belongs_to_the_error_is_told_in_order(function: Callable[[], Any], told: list[str]) -> None:
    text = traceback_of(raised(function))

    places = [text.find(each) for each in told]
    assert -1 not in places, text
    assert places == sorted(places), text


def test_an_error_of_thousands_of_frames_is_told_by_its_last_ones() -> None:
    def again(depth: int) -> None:
        again(depth + 1)

    text = traceback_of(raised(again, 0))

    assert text.startswith("RecursionError")
    assert line_of(again) in text
    assert "more" in text or text.endswith("…")
    assert len(text.encode()) <= SIZE_BYTES_MAX


class HostileError(Exception):
    def __str__(self) -> str:
        raise SystemExit("no")

    __repr__ = __str__


def circle() -> BaseException:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    return first


def nested_groups() -> BaseException:
    group: BaseException = ValueError("inmost")
    for _ in range(sys.getrecursionlimit() * 2):
        group = BaseExceptionGroup("g", [group])
    return group


@pytest.mark.parametrize(
    "error",
    [
        HostileError(),
        ValueError(HostileError()),
        circle(),
        nested_groups(),
        ValueError("\ud800 \x00 " + "x" * 100_000),
        BaseExceptionGroup("many", [ValueError("y" * 5_000) for _ in range(1_000)]),
    ],
)
def test_whatever_the_error_is_the_answer_is_a_short_text_that_can_be_written(error: BaseException) -> None:
    text = traceback_of(error)

    assert len(text.encode()) <= SIZE_BYTES_MAX
    assert msgspec.json.encode([text, words_of(error)])


async def _fails(function: Callable[..., Any], **declared: Any) -> tuple[dict[str, Any], BaseException, ListJournal]:
    """The data of the step's last event, what the workflow got, and its journal."""
    caught: list[BaseException] = []

    async def flow(ctx: Any) -> None:
        try:
            await ctx.run(step(**declared)(function))
        except StepFailedError as error:
            caught.append(error)

    journal = ListJournal()
    await run(flow, None, journal)
    return msgspec.json.decode(journal.rows[-1][4]), caught[0], journal


async def test_a_step_that_failed_says_where_also_from_a_thread() -> None:
    async def on_the_loop() -> None:
        deep({})

    def in_a_thread() -> None:
        deep({})

    for function in (on_the_loop, in_a_thread):
        data, error, _ = await _fails(function)
        lines = data["traceback"].splitlines()

        assert lines[1].startswith(f"  at {line_of(deeper)} in deeper")
        assert lines[-1].startswith(f"  at {line_of(function)} in {function.__name__}")
        assert "argosy/workflow" not in data["traceback"]
        assert error.traceback == data["traceback"]  # type: ignore[attr-defined]


async def test_an_error_of_another_process_is_told_with_what_that_process_said() -> None:
    async def elsewhere() -> None:
        with ProcessPoolExecutor(1) as pool:
            await asyncio.get_running_loop().run_in_executor(pool, deeper, {})

    data, _, _ = await _fails(elsewhere)

    assert "caused by _RemoteTraceback" in data["traceback"]
    assert "in deeper" in data["traceback"]


async def test_a_replay_sees_the_same_error_as_the_first_run() -> None:
    async def fails() -> None:
        deep({})

    seen: list[Any] = []

    async def flow(ctx: Any) -> None:
        try:
            await ctx.run(fails)
        except StepFailedError as error:
            seen.append((str(error), error.error_type, error.traceback, error.__cause__, error.__context__))

    journal = ListJournal()
    await run(flow, None, journal)
    await run(flow, None, ListJournal(journal.rows))

    assert seen[0] == seen[1]


async def test_history_of_a_version_that_recorded_no_traceback_is_replayed() -> None:
    async def fails() -> None:
        raise AssertionError("must not run")

    async def flow(ctx: Any) -> list[str]:
        try:
            await ctx.run(fails)
        except StepFailedError as error:
            return [error.error_type, str(error), error.traceback]
        return []

    rows = [(1, 1, "step.failed", "fails", b'{"type":"KeyError","message":"no","attempts":1}')]

    assert await run(flow, None, ListJournal(rows)) == ["KeyError", "no", ""]


async def test_nothing_of_a_private_step_is_told_by_an_error_that_it_caused() -> None:
    @step(private=True)
    async def secret() -> None:
        raise ValueError("the secret")

    async def flow(ctx: Any) -> None:
        try:
            await ctx.run(secret)
        except StepFailedError as error:
            raise RuntimeError("it did not work") from error

    with pytest.raises(RuntimeError) as failed:
        await run(flow)
    text = traceback_of(failed.value)

    assert "it did not work" in text
    assert text.endswith("caused by a private step failed")
    assert "the secret" not in text
