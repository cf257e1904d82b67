"""What is forgotten, shared, unordered or swallowed in a workflow is reported; what only looks like it is not."""

from pathlib import Path

import pytest

from tests.check.checking import codes_of, report_of, workflow_of

CHARGE = "@step\nasync def charge(*given): ...\n"


@pytest.mark.parametrize(
    "line",
    [
        "ctx.run(charge, order)",
        "ctx.sleep(3)",
        "ctx.graph().upsert_nodes([])",
        "memory = ctx.graph('customers')\nmemory.get('ada')['props']",
        "asyncio.sleep(3)",
        "answer = ctx.wait_signal('yes')",
        "_ = ctx.run(charge)",
        "task = ctx.run(charge)\ntask",
        "helper(ctx)",
        "return ctx.run(charge)",
        "return ctx.run(charge)['id']",
        "if ctx.wait_signal('yes'):\n    return 1",
        "return f'{ctx.now()}'",
        "event = asyncio.Event()\nevent.wait()",
    ],
)
def test_an_operation_that_is_never_awaited_is_found(tmp_path: Path, line: str) -> None:
    before = CHARGE + "async def helper(ctx: Context): ...\n"

    assert codes_of(tmp_path, line, before) == ["unawaited"]


@pytest.mark.parametrize(
    "line",
    [
        "await ctx.run(charge, order)",
        "answer = ctx.run(charge)\nreturn await answer",
        "a, b = ctx.run(charge), ctx.run(charge)\nawait asyncio.gather(a, b)",
        "await asyncio.gather(*[ctx.run(charge, each) for each in order])",
        "left = [ctx.run(charge)]\nawait left[0]",
        "task = asyncio.create_task(ctx.wait_signal('stop'))\nawait task",
        "async def later():\n    return await answer\nanswer = ctx.run(charge)\nawait later()",
        "return (await ctx.run(charge))['id']",
        "await plain(ctx)",
        "start = lambda: ctx.run(charge)\nawait start()",
    ],
)
def test_an_operation_that_is_awaited_later_or_elsewhere_is_not_found(tmp_path: Path, line: str) -> None:
    assert codes_of(tmp_path, line, CHARGE + "def plain(ctx: Context):\n    return ctx.sleep(1)\n") == []


def test_operations_of_a_synchronous_workflow_need_no_await(tmp_path: Path) -> None:
    assert codes_of(tmp_path, "ctx.run(charge)\nctx.sleep(1)\nreturn ctx.now()", CHARGE, kind="def") == []


@pytest.mark.parametrize(
    ("line", "codes"),
    [
        ("asyncio.create_task(ctx.sleep(3))", ["dropped-task"]),
        ("task = asyncio.ensure_future(ctx.sleep(3))", ["dropped-task"]),
        ("asyncio.gather(ctx.sleep(3))", ["dropped-task"]),
        ("task = asyncio.create_task(ctx.sleep(3))\ntask.cancel()", []),
        ("async with asyncio.TaskGroup() as group:\n    group.create_task(ctx.sleep(3))", []),
    ],
)
def test_a_task_that_nobody_keeps_is_a_note(tmp_path: Path, line: str, codes: list[str]) -> None:
    report = report_of(tmp_path, workflow_of(line))

    assert [each.code for each in report.findings] == codes
    assert all(each.is_note for each in report.findings)


@pytest.mark.parametrize(
    ("before", "line"),
    [
        ("count = 0", "global count\ncount += 1"),
        ("SEEN = {}", "SEEN[order] = 1"),
        ("SEEN: dict[str, int] = {}", "SEEN.update(order)"),
        ("from collections import defaultdict\nSEEN = defaultdict(list)", "del SEEN[order]"),
        ("SEEN = []", "SEEN.append(order)"),
        ("class Box:\n    count = 0", "Box.count += 1"),
        ("class Box:\n    all = []\n    def add(self):\n        self.all.append(1)", "Box().add()"),
        ("class Box:\n    all = {}", "Box.all['x'] = 1"),
        ("import itertools\nnumbers = itertools.count()", "return next(numbers)"),
    ],
)
def test_what_other_turns_see_is_not_changed_unnoticed(tmp_path: Path, before: str, line: str) -> None:
    assert codes_of(tmp_path, line, before) == ["global-state"]


@pytest.mark.parametrize(
    ("before", "line"),
    [
        ("SEEN = {}", "SEEN = {}\nSEEN[order] = 1"),
        ("SEEN = {'a': 1}", "return SEEN['a']"),
        ("", "seen = []\nseen.append(order)"),
        ("", "count = 0\ndef more():\n    nonlocal count\n    count += 1\nmore()"),
        ("class Box:\n    def __init__(self):\n        self.all = []", "box = Box()\nbox.all.append(1)\nbox.count = 1"),
        ("class Box:\n    all = []\n    def __init__(self):\n        self.all = []", "Box().all.append(1)"),
        ("from elsewhere import log", "log.append(order)"),
        ("", "class Here:\n    pass\nHere.count = 1"),
    ],
)
def test_what_a_workflow_has_of_its_own_may_change(tmp_path: Path, before: str, line: str) -> None:
    assert codes_of(tmp_path, line, before) == []


@pytest.mark.parametrize(
    "line",
    [
        "for each in set(order):\n    await ctx.run(charge, each)",
        "for each in {'a', 'b'}:\n    await ctx.run(charge, each)",
        "names = {each['name'] for each in order}\nfor each in list(names):\n    await ctx.run(charge, each)",
        "names = set(order) - {'a'}\nawait asyncio.gather(*[ctx.run(charge, each) for each in names])",
        "todo = set(order)\nwhile todo:\n    await ctx.run(charge, todo.pop())",
        "async def one(c, each): ...\nawait asyncio.gather(*(one(ctx, each) for each in set(order)))",
    ],
)
def test_operations_in_the_order_of_a_set_are_found(tmp_path: Path, line: str) -> None:
    assert codes_of(tmp_path, line, CHARGE) == ["set-order"]


@pytest.mark.parametrize(
    "line",
    [
        "for each in sorted(set(order)):\n    await ctx.run(charge, each)",
        "for each in dict.fromkeys(order):\n    await ctx.run(charge, each)",
        "for each in {1, 2, 3}:\n    await ctx.run(charge, each)",
        "for each in set([1, 2]):\n    await ctx.run(charge, each)",
        "each: set[int] = set(order)\nfor n in each:\n    await ctx.run(charge, n)",
        "total = 0\nfor each in set(order):\n    total += each\nawait ctx.run(charge, total)",
        "ts = {asyncio.create_task(ctx.sleep(n)) for n in order}\nfor t in ts:\n    await ctx.run(print, await t)",
        "tasks = [asyncio.create_task(ctx.sleep(1))]\nfor each in set(tasks):\n    await ctx.run(charge, str(each))",
        "tasks = set()\ntasks.add(asyncio.create_task(ctx.sleep(1)))\nfor each in tasks:\n    await ctx.run(charge)",
        "done, rest = await asyncio.wait(order)\nfor each in done:\n    await ctx.run(charge)",
        "todo = list(order)\nwhile todo:\n    await ctx.run(charge, todo.pop())",
    ],
)
def test_an_order_that_is_the_same_everywhere_is_not_found(tmp_path: Path, line: str) -> None:
    assert codes_of(tmp_path, line, CHARGE) == []


LOOP = "while True:\n    try:\n        await ctx.wait_signal('go')\n    {}\n"


@pytest.mark.parametrize(
    "handler",
    [
        "except BaseException:\n        continue",
        "except:\n        pass",
        "except asyncio.CancelledError:\n        pass",
        "except (ValueError, asyncio.CancelledError) as error:\n        print(error)",
        "except ValueError:\n        raise\n    except BaseException:\n        pass",
    ],
)
def test_a_cancel_that_is_swallowed_in_a_loop_is_found(tmp_path: Path, handler: str) -> None:
    assert codes_of(tmp_path, LOOP.format(handler)) == ["swallowed-cancel"]


@pytest.mark.parametrize(
    "line",
    [
        LOOP.format("except Exception:\n        continue"),
        LOOP.format("except BaseException:\n        print('x')\n        raise"),
        LOOP.format("except asyncio.CancelledError:\n        raise\n    except BaseException:\n        pass"),
        LOOP.format("except asyncio.CancelledError:\n        break"),
        LOOP.format("finally:\n        await ctx.run(charge)"),
        "try:\n    await ctx.sleep(1)\nexcept BaseException:\n    await ctx.run(charge)",
        "for t in order:\n    t.cancel()\n    try:\n        await t\n    except asyncio.CancelledError:\n        pass",
        "for t in order:\n    try:\n        await t\n    except BaseException:\n        pass",
        "for each in order:\n    try:\n        print(each)\n    except:\n        pass",
    ],
)
def test_a_cancel_that_ends_the_loop_is_not_found(tmp_path: Path, line: str) -> None:
    assert codes_of(tmp_path, line, CHARGE) == []


def test_suppress_swallows_a_cancel_as_well(tmp_path: Path) -> None:
    line = "while True:\n    with suppress(asyncio.CancelledError):\n        await ctx.sleep(1)"

    assert codes_of(tmp_path, line, "from contextlib import suppress") == ["swallowed-cancel"]


def test_a_synchronous_workflow_must_let_its_thread_unwind(tmp_path: Path) -> None:
    line = "while True:\n    try:\n        ctx.sleep(1)\n    except {}:\n        pass"

    assert codes_of(tmp_path, line.format("BaseException"), kind="def") == ["swallowed-cancel"]
    assert codes_of(tmp_path, line.format("asyncio.CancelledError"), kind="def") == ["swallowed-cancel"]
    assert codes_of(tmp_path, line.format("Exception"), kind="def") == []


@pytest.mark.parametrize(
    ("line", "codes"),
    [
        ("if ctx.attempt > 1:\n    await ctx.sleep(1)", ["attempt"]),
        ("tries = ctx.attempt\nreturn 1 if tries == 1 else 2", ["attempt"]),
        ("for _ in range(ctx.attempt):\n    await ctx.sleep(1)", ["attempt"]),
        ("await ctx.run(charge, ctx.attempt)", ["attempt"]),
        ("if ctx.attempt > 1:\n    print(f'again: {ctx.attempt}')", []),
        ("print(ctx.attempt)\nif order:\n    return {'attempt': ctx.attempt}", []),
    ],
)
def test_the_attempt_may_be_told_and_not_decide(tmp_path: Path, line: str, codes: list[str]) -> None:
    assert codes_of(tmp_path, line, CHARGE) == codes
