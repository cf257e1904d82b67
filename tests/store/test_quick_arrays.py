"""A worker's asyncpg asks in C whether an element of an array is an array, and takes what it took before."""

from abc import ABCMeta
from collections import deque
from typing import Any

import asyncpg
import pytest
from asyncpg.protocol import protocol

from argosy.store import quick_arrays

ELEMENTS = 100


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Whatever an abstract base class is asked about. What is installed is gone after the test."""
    found: list[Any] = []
    ask = ABCMeta.__instancecheck__

    def answer(cls: ABCMeta, instance: Any) -> bool:
        found.append(instance)
        return ask(cls, instance)

    monkeypatch.setattr(ABCMeta, "__instancecheck__", answer)
    for name in ("IterableABC", "SizedABC"):
        monkeypatch.setattr(protocol, name, getattr(protocol, name))
    return found


async def test_no_element_is_asked_about_through_python_once_it_is_installed(store_dsn: str, asked: list[Any]) -> None:
    connection = await asyncpg.connect(store_dsn)
    statement = await connection.prepare("SELECT cardinality($1::text[])")
    texts = [f"text {n}" for n in range(ELEMENTS)]
    assert await statement.fetchval(texts) == ELEMENTS
    before = [each for each in asked if each in texts]

    quick_arrays.install()
    asked.clear()
    assert await statement.fetchval(texts) == ELEMENTS

    await connection.close()
    assert len(before) >= ELEMENTS, "asyncpg does not ask any more: what is installed is of no use"
    assert [each for each in asked if each in texts] == []


@pytest.mark.parametrize(
    ("kind", "given", "found"),
    [
        ("int[]", [1, None, 3], [1, None, 3]),
        ("int[]", (1, 2), [1, 2]),
        ("int[]", {1}, [1]),
        ("int[]", frozenset({1}), [1]),
        ("int[]", range(3), [0, 1, 2]),
        ("int[]", {7: "a"}.keys(), [7]),
        ("int[]", deque([1]), [1]),
        ("int[]", [], []),
        ("int[]", [[1, 2], [3, 4]], [[1, 2], [3, 4]]),
        ("text[]", ["a", "", None], ["a", "", None]),
        ("bytea[]", [b"a", b""], [b"a", b""]),
        ("jsonb[]", ['{"a": [1]}'], ['{"a": [1]}']),
    ],
)
@pytest.mark.usefixtures("asked")
async def test_arrays_are_what_they_were(store_dsn: str, kind: str, given: Any, found: Any) -> None:
    quick_arrays.install()
    connection = await asyncpg.connect(store_dsn)

    assert await connection.fetchval(f"SELECT $1::{kind}", given) == found

    await connection.close()


@pytest.mark.parametrize("given", [1, "text", b"bytes", {"a": 1}, [[1], 2]], ids=repr)
@pytest.mark.usefixtures("asked")
async def test_what_is_no_array_is_refused_as_before(store_dsn: str, given: Any) -> None:
    quick_arrays.install()
    connection = await asyncpg.connect(store_dsn)

    with pytest.raises(asyncpg.DataError):
        await connection.fetchval("SELECT $1::int[]", given)

    await connection.close()
