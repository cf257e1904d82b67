"""What a workflow calls is looked at with it, in its file and in others of the user's; what it only hands on is not."""

from pathlib import Path

import pytest

from argosy.check.checker import Report, check
from tests.check.checking import HEAD, codes_of, report_of, write

HELPERS = """
    import time
    def clock():
        return deeper()
    def deeper():
        return time.time()
    class Clock:
        def __init__(self, ctx): self.ctx = ctx
        async def tell(self):
            self.ctx.sleep(1)
            return self._read()
        def _read(self): return time.time()
        @staticmethod
        def now(): return time.time()
        @classmethod
        def make(cls): return cls.now()
    class Slow(Clock): ...
"""


@pytest.mark.parametrize(
    ("line", "codes"),
    [
        ("clock()", ["time"]),
        ("list(map(clock, order))", ["time"]),
        ("sorted(order, key=clock)", ["time"]),
        ("Clock.now()", ["time"]),
        ("Clock.make()", ["time"]),
        ("teller = Clock(ctx)\nawait teller.tell()", ["unawaited", "time"]),
        ("await Slow(ctx).tell()", ["unawaited", "time"]),
        ("await ctx.run(clock)", []),
        ("await ctx.run(Clock.now)", []),
        ("return order.register(clock)", []),
        ("return {'clock': clock}", []),
    ],
)
def test_what_is_called_is_looked_at_and_what_is_handed_on_is_not(tmp_path: Path, line: str, codes: list[str]) -> None:
    assert codes_of(tmp_path, line, HELPERS) == codes


def test_a_finding_in_a_helper_names_it_and_the_workflow_once(tmp_path: Path) -> None:
    text = HEAD + (
        "import time\ndef helper():\n    time.time()\n"
        "@workflow\nasync def f(ctx):\n    helper()\n"
        "@workflow(name='shop.g')\nasync def g(ctx):\n    helper()\n    await f(ctx)\n"
    )

    (finding,) = report_of(tmp_path, text).findings

    assert (finding.function, finding.workflow) == ("helper", "f")


def test_ctx_is_known_wherever_it_is_handed(tmp_path: Path) -> None:
    text = HEAD + (
        "async def a(c, n):\n    c.sleep(1)\n    await b(n, where=c)\n"
        "async def b(n, where):\n    where.sleep(1)\n    await a(where, n)\n"
        "@workflow\nasync def f(ctx):\n    await a(ctx, 1)\n"
        "async def nobody(ctx):\n    ctx.sleep(1)\n"
    )

    assert [each.function for each in report_of(tmp_path, text).findings] == ["a", "b"]


def test_a_function_under_an_unknown_decorator_is_left_alone(tmp_path: Path) -> None:
    before = "import time\nfrom mine import recorded\n@recorded\ndef clock():\n    return time.time()\n"

    assert codes_of(tmp_path, "clock()", before) == []


def package(folder: Path) -> Report:
    write(folder, "import argosy\ndurable = argosy.workflow\n", "shop/words.py")
    write(folder, "import time\ndef clock(): return time.time()\n", "shop/deep/helpers.py")
    write(folder, "from .flows import checkout\nfrom . import flows\n", "shop/__init__.py")
    write(folder, "from .helpers import *\n", "shop/deep/__init__.py")
    text = """
        from shop import words, deep
        from .deep import clock
        @words.durable
        async def checkout(ctx):
            clock(); deep.clock()
    """
    write(folder, text, "shop/flows.py")
    return check(["shop"], folder)


def test_a_package_s_workflows_and_helpers_are_found_through_its_imports(tmp_path: Path) -> None:
    report = package(tmp_path)

    assert [(each.name, each.path) for each in report.workflows] == [("checkout", "shop/flows.py")]
    assert [(each.path, each.line, each.code) for each in report.findings] == [("shop/deep/helpers.py", 2, "time")]


def test_a_file_within_a_package_is_the_same_by_its_path(tmp_path: Path) -> None:
    by_name = package(tmp_path)

    by_path = check([str(tmp_path / "shop/flows.py")], tmp_path)

    assert [each.code for each in by_path.findings] == [each.code for each in by_name.findings]


def test_neighbours_of_a_file_are_followed(tmp_path: Path) -> None:
    write(tmp_path, "from time import time as clock\n", "flows/helpers.py")
    text = HEAD + "import helpers\n@workflow\nasync def f(ctx):\n    helpers.clock()\n"

    report = check([write(tmp_path, text, "flows/my.py")], tmp_path)

    assert [each.code for each in report.findings] == ["time"]


def test_modules_that_import_each_other_in_a_circle_end(tmp_path: Path) -> None:
    write(tmp_path, "from b import *\nfrom b import x\nx = x.x\n", "a.py")
    write(tmp_path, "from a import *\nfrom a import x\nimport b\n", "b.py")
    text = (
        HEAD
        + "from a import *\nimport a, b\n@workflow\nasync def f(ctx):\n    x.y.z(); a.b.a.q(); b.b.b.b.x(); nothing()\n"
    )

    assert check([write(tmp_path, text)], tmp_path).findings == []


def test_two_files_are_one_program(tmp_path: Path) -> None:
    one = write(tmp_path, HEAD + "@workflow\nasync def one(ctx): ...\n", "one.py")
    two = write(tmp_path, HEAD + "from one import one\n@workflow\nasync def two(ctx):\n    await one(ctx)\n", "two.py")

    assert [each.name for each in check([one, two, one], tmp_path).workflows] == ["one", "two"]
