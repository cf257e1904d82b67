"""The house keeps its shape: imports run one way, modules stay small, and each kind of thing is in one place."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import grimp
import pytest

ROOT: Final = Path(__file__).parents[1]
PACKAGES: Final = ("argosy", "gateway", "workers", "shards")

# Read the environment, and why.
ENVIRONMENT_READERS: Final = {
    "argosy/config/sources.py": "the one place",
    "argosy/local/up.py": "children inherit it",
    "argosy/backup/database.py": "programs of PostgreSQL inherit it",
}
# Read a clock or sleep without the injected one, and why.
CLOCK_READERS: Final = {
    "argosy/clock.py": "the one place",
    "argosy/ids.py": "a turn id carries the minting gateway's time",
    "argosy/workflows/support_triage.py": "the demonstration writes as slowly as it is told to",
    "argosy/store/numbered_stream.py": "a pause between two tries decides nothing",
}
SQL: Final = re.compile(
    r"\b(SELECT\s.+\sFROM|INSERT\s+INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|CREATE\s+(TABLE|INDEX)|TRUNCATE)\b", re.S
)


def _modules() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "_pb2" not in path.name:
                yield str(path.relative_to(ROOT)), path.read_text()


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    """The modules, read once for all tests."""
    return {name: ast.parse(text) for name, text in _modules()}


def _calls(tree: ast.AST) -> Iterator[tuple[str, ast.Attribute]]:
    """Dotted names that are used: `time.monotonic`, `os.environ`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}", node


def test_imports_run_one_way() -> None:
    linter = Path(sys.executable).parent / "lint-imports"
    result = subprocess.run([str(linter), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = grimp.build_graph("argosy", exclude_type_checking_imports=False, cache_dir=None)
    circles = []
    for module in sorted(graph.modules):
        for imported in graph.find_modules_directly_imported_by(module):
            if chain := graph.find_shortest_chain(importer=imported, imported=module):
                circles.append(" -> ".join((module, *chain)))
    assert circles == []


def test_modules_are_short() -> None:
    assert [f"{name}: {text.count(chr(10))}" for name, text in _modules() if text.count("\n") > 300] == []


def test_proto_holds_sources_only() -> None:
    assert [str(path) for path in (ROOT / "proto").rglob("*.py")] == []


def test_sql_is_in_sql_files(trees: dict[str, ast.Module]) -> None:
    found = []
    for name, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.search(node.value):
                found.append(f"{name}:{node.lineno}")
    assert found == []


@pytest.mark.parametrize(
    ("text", "is_sql"),
    [
        ("SELECT turn_id FROM turns", True),
        ("INSERT INTO turns VALUES ($1)", True),
        ("UPDATE turns SET status = $1", True),
        ("DELETE FROM inbox", True),
        ("select a session from the list", False),
        ("an UPDATE of turns", False),
    ],
)
def test_the_search_for_sql_sees_statements_and_not_sentences(text: str, is_sql: bool) -> None:
    assert bool(SQL.search(text)) is is_sql


def test_the_environment_is_read_in_one_place(trees: dict[str, ast.Module]) -> None:
    found = [
        f"{name}:{node.lineno}"
        for name, tree in trees.items()
        for used, node in _calls(tree)
        if used in ("os.environ", "os.getenv", "os.environb") and name not in ENVIRONMENT_READERS
    ]
    assert found == []


def _is_pause_of_nothing(call: ast.Call) -> bool:
    return bool(call.args) and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0


def test_channels_to_our_own_processes_are_opened_in_one_place(trees: dict[str, ast.Module]) -> None:
    """There proxies of the environment are left alone, and forked children do not keep the sockets."""
    found = {
        name
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("insecure_channel", "secure_channel")
    }
    assert found == {"argosy/rpc/channel.py"}


def test_channels_are_used_where_every_message_is_signed_both_ways(trees: dict[str, ast.Module]) -> None:
    found = {
        name
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id == "open_channel"
    }
    assert found == {"argosy/rpc/peer.py", "argosy/rpc/call_client.py"}


def test_time_is_injected(trees: dict[str, ast.Module]) -> None:
    watched = {"time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.sleep", "asyncio.sleep"}
    found = []
    for name, tree in trees.items():
        yields = {id(call.func) for call in ast.walk(tree) if isinstance(call, ast.Call) and _is_pause_of_nothing(call)}
        found += [
            f"{name}:{node.lineno} {used}"
            for used, node in _calls(tree)
            if used in watched and id(node) not in yields and name not in CLOCK_READERS
        ]
    assert found == []


def _declared(tree: ast.Module) -> Iterator[str]:
    """Yield the names that a file of the table of telemetry declares."""
    for node in tree.body:
        targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        yield from (each.id for each in targets if isinstance(each, ast.Name) and not each.id.startswith("_"))


def test_every_name_in_the_telemetry_table_is_used(trees: dict[str, ast.Module]) -> None:
    table = {name: tree for name, tree in trees.items() if name.startswith("argosy/telemetry/")}
    names = {each for name, tree in table.items() if not name.endswith("/room.py") for each in _declared(tree)}
    used = {word for name, text in _modules() if name not in table for word in re.findall(r"\w+", text)}
    assert {"REQUESTS", "STEPS", "WORKER_STARTED"} <= names
    assert sorted(names - used) == []


# Turn and Owned are changed by their methods only, so that what happens to them stands in one place.
OWNED_CLASSES: Final = {
    "workers/dispatch/owned.py": "Owned",
    "workers/dispatch/turn.py": "Turn",
    "workers/dispatch/turn_row.py": "TurnRow",
}
# Other objects whose attributes have the same names, as the module calls them.
OTHERS_THAT_CHANGE: Final[dict[str, dict[str, str]]] = {
    "workers/dispatch/execution/suspects.py": {"moves": "what is to be done for suspects"},
    "workers/dispatch/flush/flush_entry.py": {"first": "an entry"},
    "workers/dispatch/inbox/read_ahead.py": {"turn": "a row that was read"},
    "workers/dispatch/parts.py": {
        "loans": "the dispatcher of loans",
        "then": "the dispatcher, which is given the parts",
    },
    "workers/dispatch/scheduling/pager.py": {"cursor": "where the next page begins"},
    "workers/dispatch/stream/hub.py": {"each": "a subscriber"},
}
_MUTATORS: Final = "add append appendleft clear discard extend insert pop popitem popleft remove setdefault take update"
MUTATORS: Final = frozenset(_MUTATORS.split())


def _changed(tree: ast.AST, names: frozenset[str]) -> Iterator[str]:
    """Yield the objects of which code changes one of these attributes, or what it holds, but for an object's own."""

    def owner(node: ast.AST) -> str | None:
        name = ast.unparse(node.value) if isinstance(node, ast.Attribute) and node.attr in names else None
        return None if name in ("self", "cls") else name

    for node in ast.walk(tree):
        found = None
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            found = owner(node)
        elif isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
            found = owner(node.value)
        elif isinstance(node, ast.AugAssign):
            found = owner(node.target)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MUTATORS:
            found = owner(node.func.value)
        if found is not None:
            yield found


def _slots(tree: ast.Module, name: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == name:
            for each in node.body:
                if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "__slots__":
                    yield from ast.literal_eval(each.value)


def test_only_a_turn_changes_a_turn_and_only_a_partition_itself(trees: dict[str, ast.Module]) -> None:
    names = frozenset(name for path, owner in OWNED_CLASSES.items() for name in _slots(trees[path], owner))
    changed = {
        (path, each)
        for path, tree in trees.items()
        if path.startswith("workers/dispatch/") and path not in OWNED_CLASSES
        for each in _changed(tree, names)
    }
    assert {"owned", "moves", "is_void"} <= names
    assert changed == {(path, each) for path, others in OTHERS_THAT_CHANGE.items() for each in others}


@pytest.mark.parametrize(
    ("code", "is_change"),
    [
        ("turn.stop = 1", True),
        ("a, turn.stop = 1, 2", True),
        ("turn.stop += 1", True),
        ("self._turn.moves[1] = 2", True),
        ("del turn.moves[1]", True),
        ("each.turn.moves.pop(1)", True),
        ("self.stop = 1", False),
        ("self.moves[1] = turn.moves[1]", False),
        ("turn.moves.get(1)", False),
    ],
)
def test_the_search_for_changes_sees_changes_and_not_reads(code: str, is_change: bool) -> None:
    assert bool(list(_changed(ast.parse(code), frozenset({"stop", "moves"})))) is is_change


def test_exceptions_are_still_needed() -> None:
    modules = dict(_modules())
    assert [name for name in (*ENVIRONMENT_READERS, *CLOCK_READERS) if name not in modules] == []
