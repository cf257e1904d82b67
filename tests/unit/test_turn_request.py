"""What is admitted, and what a repetition must equal."""

import json
import uuid
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from argosy import config, ids, record
from argosy.clock import SystemClock
from argosy.gateway import json_value
from argosy.gateway.turn_request import Admission, Admitted, TurnPosted, posted_decoder

ADMISSION = Admission(config.load({}), SystemClock(), 64)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def admit(content: bytes, key: str | None = "k", session: str = "s") -> Admitted:
    posted: TurnPosted = json_value.decode(content, posted_decoder, "the body")
    return ADMISSION.admit("default", session, posted, key, ())


def body(value: Any, **dump: Any) -> bytes:
    return json.dumps({"workflow": "echo", "input": value}, **dump).encode()


def test_the_digest_is_the_same_for_ever() -> None:
    content = (
        b'{"workflow":"echo","input":{"b":[1,2.5,"\\u00fc"],"a":null},"on_busy":"reject","priority":3,'
        b'"not_before":"2020-01-01T00:00:00Z","deadline_s":60,"tags":["x"]}'
    )

    digests = [admit(content).digest.hex(), admit(b'{"workflow":"echo"}').digest.hex()]

    assert digests == ["2a735139bc84e82c3744accd3ab94761", "4bf074cf85b9e9367634463e821f8afa"]


def test_a_whole_number_is_the_same_one_with_a_fraction_of_zero() -> None:
    whole, written_otherwise = admit(b'{"workflow":"echo","priority":7}'), admit(b'{"workflow":"echo","priority":7.0}')

    assert written_otherwise.digest == whole.digest
    assert record.decode(written_otherwise.entry.value).priority == 7


@given(value=json_values)
def test_how_a_value_is_written_does_not_change_its_digest(value: Any) -> None:
    plain = admit(body(value)).digest

    assert admit(body(value, indent=2, ensure_ascii=False)).digest == plain
    assert admit(body(json.loads(json.dumps(value, sort_keys=True)))).digest == plain


@given(value=json_values, session=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60))
def test_an_admitted_turn_can_be_read_back(value: Any, session: str) -> None:
    if session in {".", ".."}:
        return
    admitted = admit(body(value), None, session)

    turn = record.decode(admitted.entry.value)

    assert json.loads(turn.input) == value
    assert (turn.session, turn.digest) == (session, b"")
    turn_id = uuid.UUID(bytes=turn.turn_id)
    assert ids.can_be_of(turn_id, "default", "default")
    assert ids.turn_bucket(turn_id) == ids.bucket_of(ids.session_id_of("default", "default", session))
