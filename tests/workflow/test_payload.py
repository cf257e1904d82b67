"""What can be written down comes back equal; everything else is refused."""

import dataclasses
import datetime
import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.errors import EncodingError, PayloadTooLargeError
from argosy.workflow import payload

texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_json_values_come_back_equal_and_of_the_same_types(value: Any) -> None:
    encoded, decoded = payload.encode(value, 1 << 20)

    assert decoded == value == payload.decode(encoded)
    assert repr(decoded) == repr(value)


@given(st.lists(st.just(math.nan) | st.just(math.inf) | st.just(-math.inf), min_size=1), values)
def test_what_is_no_number_is_never_written_as_null(bad: list[float], good: Any) -> None:
    for value in (bad[0], bad, [good, bad], {"good": good, "bad": {"deep": (bad,)}}):
        with pytest.raises(EncodingError, match=r"nan|inf"):
            payload.encode(value, 1 << 20)


def cyclic() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@dataclasses.dataclass
class Order:
    total: int


@pytest.mark.parametrize(
    "value",
    [
        set(),
        {1},
        frozenset(),
        b"",
        bytearray(b"x"),
        Decimal("1.5"),
        datetime.datetime.now(datetime.UTC),
        Order(1),
        object(),
        len,
        1j,
        {1: "a"},
        {None: 1},
        {True: 1},
        {(1, 2): 3},
        "\ud800",
        {"\udfff": 1},
        [Order(1)],
        ({"a": {1}},),
        cyclic(),
        nested(101),
        nested(50_000),
        iter([1]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_everything_else_is_refused(value: Any) -> None:
    with pytest.raises(EncodingError, match="the result of the step"):
        payload.encode(value, 1 << 30)


def test_a_tuple_becomes_a_list_and_nesting_has_a_bound() -> None:
    assert payload.encode(((), {"a": (1,)}), 99) == (b'[[],{"a":[1]}]', [[], {"a": [1]}])
    assert payload.encode(nested(100), 999)[1] == nested(100)
    assert payload.encode([[]] * 200, 999)[1] == [[]] * 200


def test_a_payload_has_a_bound() -> None:
    assert payload.encode("x" * 98, 100)[0] == b'"' + b"x" * 98 + b'"'
    with pytest.raises(PayloadTooLargeError, match=r"101 bytes.*PAYLOAD_SIZE_BYTES_MAX=100"):
        payload.encode("x" * 99, 100)
