"""What a step is given is what the workflow passed: of the same types, and a copy, as far as there can be one."""

import array
import threading
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

import pytest

from argosy import Context
from argosy.workflow.payload import copied
from tests.workflow.running import run


class Colour(IntEnum):
    RED = 1


class Point(NamedTuple):
    x: int
    y: list[int]


class Name(str):
    __slots__ = ()


class Blob(bytes):
    pass


@dataclass
class Order:
    items: list[str]


@pytest.mark.parametrize(
    "value",
    [
        bytearray(b"abc"),
        array.array("d", [1.5, 2.5]),
        Blob(b"abc"),
        Name("abc"),
        Colour.RED,
        Point(1, [2]),
        Order(["tea"]),
        (1, "a", None, 2.5, True, 3j, b"b"),
        {"a": {1, 2}, 3: frozenset({4})},
        {"a": 1, 2: None},
        [1, "a", None],
        range(3),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize(
    "within", [lambda value: value, lambda value: [value], lambda value: {"deep": ({"er": value},)}]
)
def test_a_copy_has_the_types_of_the_original(value: Any, within: Any) -> None:
    given = within(value)

    (copy,), _ = copied((given,), {})
    _, kwargs = copied((), {"given": given})

    for each in (copy, kwargs["given"]):
        assert each == given
        assert _types(each) == _types(given)


@pytest.mark.parametrize("given", [{"a": 1}, [1], [Name("a")], {Name("a"): 1}, {"a": [1]}, [{"a": 1}]])
def test_a_copy_of_what_can_be_changed_is_another_object(given: Any) -> None:
    (copy,), _ = copied((given,), {})

    assert copy is not given
    assert copy == given


async def test_what_a_step_changes_does_not_come_back() -> None:
    async def flow(ctx: Context) -> list[Any]:
        data, order, mixed = bytearray(b"a"), Order([]), {"lock": threading.Lock(), "told": ["once"]}
        changed = await ctx.run(changes, data, order, mixed=mixed)
        return [data.decode(), order.items, mixed["told"], changed]

    async def changes(data: bytearray, order: Order, mixed: dict[str, Any]) -> list[Any]:
        data.append(98)
        order.items.append("tea")
        mixed["told"].append("twice")
        return [data.decode(), order.items, mixed["told"]]

    assert await run(flow) == ["a", [], ["once"], ["ab", ["tea"], ["once", "twice"]]]


def test_what_cannot_be_copied_is_shared_and_what_is_around_it_is_not() -> None:
    lock = threading.Lock()
    given = [lock, {"lock": (lock, [1])}, [2]]

    (copy,), _ = copied((given,), {})

    assert copy == given
    assert copy is not given
    assert copy[0] is copy[1]["lock"][0] is lock
    assert copy[1]["lock"][1] is not given[1]["lock"][1]  # type: ignore[index]


def test_what_holds_itself_and_something_that_cannot_be_copied_is_copied() -> None:
    given: list[Any] = [threading.Lock()]
    given.append(given)

    (copy,), _ = copied((given,), {})

    assert copy is not given
    assert copy[0] is given[0]
    assert copy[1] is copy


def test_what_is_too_deep_to_be_copied_is_shared() -> None:
    given: list[Any] = [threading.Lock()]
    for _ in range(5_000):
        given = [given]

    (copy,), _ = copied((given,), {})

    assert copy is given


def _types(value: Any) -> Any:
    if isinstance(value, dict):
        return dict, [(_types(key), _types(each)) for key, each in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value), [_types(each) for each in value]
    return type(value)
