"""Names mean what they mean in Python: through aliases, imports, scopes; what is shadowed or open means nothing."""

import inspect
from pathlib import Path

import pytest

from argosy.check.checker import check
from argosy.check.look import GRAPH_OPERATIONS
from argosy.turn.keys import OPERATIONS
from argosy.workflow.context import Context
from argosy.workflow.graph import Graph
from tests.check.checking import HEAD, codes_of, report_of, write


@pytest.mark.parametrize(
    "text",
    [
        "import argosy\n@argosy.workflow\nasync def f(ctx): ...\n",
        "import argosy as a\n@a.workflow(version='2')\nasync def f(ctx): ...\n",
        "from argosy import workflow as wf\n@wf\nasync def f(ctx): ...\n",
        "from argosy import *\n@workflow()\nasync def f(ctx): ...\n",
        "from argosy.workflow.definition import workflow\n@workflow\ndef f(ctx): ...\n",
        "from argosy import workflow\n@workflow(name='f')\nasync def another(ctx): ...\n",
        "from argosy import workflow\nours = workflow(version='2')\n@ours\nasync def f(ctx): ...\n",
        "import functools, argosy\nours = functools.partial(argosy.workflow, version='2')\n@ours()\ndef f(ctx): ...\n",
        "from argosy import workflow\n@workflow\n@unknown\nasync def f(ctx): ...\n",
        "from argosy import workflow\nasync def f(ctx): ...\nworkflow(f)\n",
        "from argosy import workflow\ndef make():\n    @workflow\n    async def f(ctx): ...\n    return f\n",
        "try:\n    from argosy import workflow\nexcept ImportError:\n    workflow = None\n@workflow\ndef f(ctx): ...\n",
    ],
)
def test_a_workflow_is_found_however_it_is_declared(tmp_path: Path, text: str) -> None:
    assert [each.name for each in report_of(tmp_path, text).workflows] == ["f"]


@pytest.mark.parametrize(
    "text",
    [
        "from another import workflow\n@workflow\nasync def f(ctx): ...\n",
        "def workflow(f): return f\n@workflow\nasync def f(ctx): ...\n",
        "from argosy import step\n@step\nasync def f(ctx): ...\n",
        "from argosy import workflow\nworkflow = print\n@workflow\nasync def f(ctx): ...\n",
    ],
)
def test_what_only_has_the_name_is_no_workflow(tmp_path: Path, text: str) -> None:
    assert report_of(tmp_path, text).workflows == []


@pytest.mark.parametrize(
    ("before", "line"),
    [
        ("from time import time as clock", "clock()"),
        ("import time as t", "t.time()"),
        ("import time\nclock = time.time", "clock()"),
        ("", "import time\ntime.time()"),
        ("import time", "def inner():\n    return time.time()\ninner()"),
        ("import time", "return [time.time() for _ in order]"),
        ("import time", "async def inner():\n    time.time()\nawait asyncio.gather(inner(), inner())"),
        ("import time", "return sorted(order, key=lambda each: time.time())"),
    ],
)
def test_a_name_is_followed_to_what_it_was_imported_as(tmp_path: Path, before: str, line: str) -> None:
    assert codes_of(tmp_path, line, before) == ["time"]


@pytest.mark.parametrize(
    ("before", "line"),
    [
        ("import time", "time = order['clock']\ntime.time()"),
        ("import time\nclass Fake:\n    def time(self): ...\ntime = Fake()", "time.time()"),
        ("", "def open(x): ...\nopen('x')"),
        ("from mine import open", "open('x')"),
        ("from mine import *", "open('x')"),
        ("", "for open in order:\n    open('x')"),
        ("", "with order as open:\n    open('x')"),
        ("", "return [open(1) for open in order]"),
        ("import random", "try:\n    pass\nexcept ValueError as random:\n    random.random()"),
        ("import random", "match order:\n    case {'random': random}:\n        random.random()"),
        ("import random", "random.random() if (random := order) else 0"),
        ("", "order.random.random()\norder.open('x')"),
        ("import time", "class time:\n    time = staticmethod(print)\ntime.time()"),
    ],
)
def test_a_shadowed_name_is_not_reported(tmp_path: Path, before: str, line: str) -> None:
    assert codes_of(tmp_path, line, before) == []


def test_a_name_of_a_class_hides_nothing_from_its_methods(tmp_path: Path) -> None:
    before = "class Box:\n    def open(self): ...\n    def read(self):\n        return open('x')\n"

    assert codes_of(tmp_path, "Box().read()", before) == ["io"]


def test_a_name_of_two_meanings_has_none(tmp_path: Path) -> None:
    before = "import time\nif __debug__:\n    clock = time.time\nelse:\n    clock = len\n"

    assert codes_of(tmp_path, "clock()", before) == []


def test_a_parameter_shadows_a_builtin(tmp_path: Path) -> None:
    text = HEAD + "def helper(open):\n    open('x')\n@workflow\nasync def f(ctx):\n    helper(print)\n"

    assert report_of(tmp_path, text).findings == []


def test_a_neighbour_that_has_the_name_of_a_module_of_python_does_not_hide_it(tmp_path: Path) -> None:
    write(tmp_path, "def random(): ...\n", "random.py")
    text = HEAD + "import random\n@workflow\nasync def f(ctx):\n    random.random()\n"

    assert [each.code for each in check([write(tmp_path, text)], tmp_path).findings] == ["random"]


def test_nothing_of_a_file_is_run(tmp_path: Path) -> None:
    text = f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\n1 / 0\n"
    write(tmp_path, text, "shop/__init__.py")
    write(tmp_path, text + HEAD + "@workflow\nasync def f(ctx): ...\n", "shop/flows.py")

    report = check(["shop.flows", str(tmp_path / "shop/flows.py")], tmp_path)

    assert [each.name for each in report.workflows] == ["f"]
    assert not (tmp_path / "ran").exists()


def test_every_operation_of_a_ctx_and_of_its_graph_is_known() -> None:
    def methods(of: type) -> set[str]:
        return {name for name, each in vars(of).items() if inspect.isfunction(each) and not name.startswith("_")}

    assert methods(Context) == {*OPERATIONS, "graph"}
    assert methods(Graph) == GRAPH_OPERATIONS
