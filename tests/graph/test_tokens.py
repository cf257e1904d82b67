"""The estimate of tokens is on the safe side, and texts are cut to it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.graph.tokens import cut_to_tokens, estimate_tokens


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("a", 1), ("abc", 1), ("abcd", 2), ("日本", 2), ("ab日", 2), ("🎉", 1)]
)
def test_an_estimate(text: str, tokens: int) -> None:
    assert estimate_tokens(text) == tokens


def test_a_text_that_is_too_long_is_cut() -> None:
    assert cut_to_tokens("abcdefghi", 3) == "abcdefghi"
    assert cut_to_tokens("abcdefghij", 3) == "abcdef…"
    assert cut_to_tokens("日本語です", 3) == "日本…"
    assert cut_to_tokens("abcdefghij", 1) == "…"
    assert cut_to_tokens("abcdefghij", 0) == ""


@given(st.text(), st.integers(0, 20))
def test_what_was_cut_is_within_the_budget_and_a_beginning(text: str, tokens: int) -> None:
    cut = cut_to_tokens(text, tokens)
    assert estimate_tokens(cut) <= tokens
    assert cut == text or text.startswith(cut.removesuffix("…"))
