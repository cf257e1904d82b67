"""turn.completed as clients are told it."""

import json
import uuid

import pytest

from argosy.turn.ended import with_result

ID = uuid.UUID(int=1)


@pytest.mark.parametrize("data", [b"{}", b'{"channels":{}}'])
@pytest.mark.parametrize(("size_bytes_max", "is_whole"), [(3, True), (2, False), (0, False)])
def test_a_result_up_to_the_bound_is_whole_and_of_a_larger_one_its_size_is_told(
    data: bytes, size_bytes_max: int, is_whole: bool
) -> None:
    told = json.loads(with_result(data, ID, b"[1]", 3, size_bytes_max=size_bytes_max))

    rest = {"result": [1]} if is_whole else {"result_size_bytes": 3, "links": {"turn": f"/v1/turns/{ID}"}}
    assert told == json.loads(data) | rest


def test_a_result_that_was_not_read_is_told_by_its_size() -> None:
    assert json.loads(with_result(b"{}", ID, None, 9, size_bytes_max=99))["result_size_bytes"] == 9
