"""Tests and benchmarks use nothing private of the product, but for what a table names with its reason."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
PRODUCT: Final = ("argosy", "gateway", "workers", "shards")
TESTS: Final = ("tests", "bench")

# What is used, by file; the reason is why nothing public shows it or brings it about.
USED: Final[dict[str, dict[str, str]]] = {
    "tests/client/test_fleet.py": {"_asking": "no call of the client lists the turns of a session"},
    "tests/client/test_token.py": {
        "_asking": "what holds a token must not show it",
        "_credential": "what holds a token must not show it",
    },
    "tests/dispatch/joined_parts.py": {"_tasks": "ends what a worker leaves to the end of its process"},
    "tests/dispatch/stream/test_service.py": {"_TAKEN_WITHIN_S": "a bound that would take long"},
    "tests/dispatch/test_cancels.py": {"_advance": "the code runs to its end before the loop's next pass"},
    "tests/dispatch/test_due_rows.py": {"_work": "whether the next look is at once; it comes soon in any case"},
    "tests/dispatch/test_flush_in_parts.py": {"_queue": "that bytes are counted out as they were counted in"},
    "tests/dispatch/test_joined_parts.py": {
        "_LAZY_S": "a flush that nobody waits for would come soon in any case",
        "_LOOK_S": "the next look would find the rows in any case",
        "_RETRY_S": "a pause that would take long",
        "_read_heads": "one read, after which nothing may have happened",
    },
    "tests/dispatch/test_poke_service.py": {
        "_unsigned": "that calls which were ended leave nothing",
        "_waiting": "many calls that begin before any of them goes on",
    },
    "tests/dispatch/test_signs_of_life.py": {"_WAIT": "a bound that would take long"},
    "tests/dispatch/test_takeover.py": {"_read_sessions": "one read, while another one is under way"},
    "tests/faults/following.py": {"_asking": "counts connections below the library, which hides them"},
    "tests/gateway/stubborn_writer.py": {"_writer": "a log that takes records and says otherwise"},
    "tests/gateway/test_admission.py": {"_writer": "a log that is slow, of a gateway that runs"},
    "tests/logs/test_kafka_metadata.py": {"_admin": "brokers that have not heard of a topic yet"},
    "tests/logs/test_kafka_writer.py": {
        "_on_error": "librdkafka calls it; no real producer can be made to fail so",
        "_producer": "that another one is in its place",
    },
    "tests/logs/test_messages.py": {"_kinds": "how much memory holds"},
    "tests/logs/test_postgres_log.py": {
        "_loop": "a member's own thread, which is to stand still",
        "_member": "a member's own thread, which is to stand still",
    },
    "tests/logs/test_word.py": {"_AHEAD_S": "the rule in numbers", "_SETTLES_S": "the rule in numbers"},
    "tests/processes/test_fork.py": {"_own": "what this process tells its forks, emptied for a test"},
    "tests/store/test_migrate.py": {"_SQL": "statements as the version before has them"},
    "tests/store/test_numbered_stream.py": {
        "_drop": "ends a stream of which the server may be away",
        "_no": "an answer that was never heard",
    },
    "tests/store/test_pool.py": {"_idle": "when the pool's own connection has heard of its end"},
    "tests/store/test_session_settings.py": {
        "_connect": "a session that somebody changed, of the stream itself",
        "_connection": "a session that somebody changed, of the stream itself",
    },
    "tests/unit/test_poke.py": {"_pending": "when a channel was closed, of which nobody is told"},
    "tests/unit/test_quiet.py": {"_said": "memory that is freed in the middle of a line"},
    "tests/unit/test_rate_limit.py": {"_buckets": "how much memory holds"},
    "tests/workflow/play.py": {"_ready": "asyncio's name: whether anything is left to run"},
    "tests/workflow/record_histories.py": {"_catalog": "a runner whose workflow has its own name and version"},
    "tests/workflow/test_frameworks.py": {"_child_scopes": "anyio's name"},
}
_OWN: Final = ("self", "cls")
_OF_NAMED_TUPLES: Final = ("_asdict", "_fields", "_make", "_replace")


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in _OF_NAMED_TUPLES


def _trees(*folders: str) -> Iterator[tuple[str, ast.AST]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "_pb2" not in path.name:
                yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def _defined(tree: ast.AST) -> Iterator[str]:
    """Yield the private names that code defines: functions, classes, constants and attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = node.name
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            name = node.id if isinstance(node, ast.Name) else node.attr
        else:
            continue
        if _is_private(name):
            yield name


def _name_of(function: ast.expr) -> str:
    """Its last word: to write all of it out would take most of the time."""
    return (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )


def _is_own(value: ast.expr) -> bool:
    """Whether it is `self`, `cls` or `super()`."""
    if isinstance(value, ast.Call):
        return _name_of(value.func) == "super" and not value.args
    return isinstance(value, ast.Name) and value.id in _OWN


def _used(tree: ast.AST) -> Iterator[str]:
    """Yield the private names that code takes from other objects and modules, and those that it patches by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _is_private(node.attr):
            names = [] if _is_own(node.value) else [node.attr]
        elif isinstance(node, ast.ImportFrom):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.Call) and _name_of(node.func) in ("setattr", "getattr", "delattr"):
            names = [each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
        else:
            continue
        yield from filter(_is_private, names)


def test_tests_use_nothing_private_of_the_product_without_a_reason() -> None:
    of_product = {name for _, tree in _trees(*PRODUCT) for name in _defined(tree)}
    used = {path: names for path, tree in _trees(*TESTS) if (names := set(_used(tree)) & of_product)}
    assert used == {path: set(names) for path, names in USED.items()}


@pytest.mark.parametrize(
    ("code", "used"),
    [
        ("part._work.set()", ["_work"]),
        ("one._two._three", ["_three", "_two"]),
        ("part._look()", ["_look"]),
        ("from argosy.rounds import _PAUSE_S", ["_PAUSE_S"]),
        ("monkeypatch.setattr(pager, '_RETRY_S', 0.1)", ["_RETRY_S"]),
        ("self._work", []),
        ("part.work", []),
        ("part.__dict__", []),
    ],
)
def test_the_search_sees_what_is_private_of_others(code: str, used: list[str]) -> None:
    assert list(_used(ast.parse(code))) == used
