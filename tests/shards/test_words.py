"""A text has the words that people search for, whatever its script."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.shards.engines.words import WORD_LENGTH_MAX, Phrase, phrases_of, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Ada Lovelace", ["ada", "lovelace"]),
        ("C++", ["c", "+", "+"]),
        ("C# or F#?", ["c", "#", "or", "f", "#"]),
        ("state-of-the-art", ["state", "of", "the", "art"]),
        ("snake_case, don't", ["snake", "case", "don", "t"]),
        ("ada@x.org", ["ada", "@", "x", "org"]),
        ("Straße CAFÉ café", ["strasse", "cafe", "cafe"]),
        ("ﬁne \uff21\uff22\uff23", ["fine", "abc"]),
        ("日本語", ["日本", "本語", "語"]),
        ("日", ["日"]),
        ("Python入門", ["python", "入門", "門"]),
        ("東京・大阪", ["東京", "京", "大阪", "阪"]),
        ("한국 말", ["한국", "국", "말"]),
        ("हिन्दी", ["हिन्दी"]),
        ("🎉done👍🏽", ["🎉", "done", "👍", "🏽"]),
        ("\u2764\ufe0f", ["\u2764"]),
        ("", []),
        ("... -- ?!", []),
        ("a\x00b\ud800c", ["a", "b", "c"]),
        ("x" * 100, ["x" * WORD_LENGTH_MAX]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("C++ and C++", [Phrase(("c", "+", "+")), Phrase(("and",))]),
        ("日本", [Phrase(("日本",))]),
        ("日", [Phrase(("日",), is_open=True)]),
        ("日本。", [Phrase(("日本",))]),
        ("A日", [Phrase(("a", "日"), is_open=True)]),
        ("日本C", [Phrase(("日本", "本", "c"))]),
        ('"quoted" AND (OR NOT*', [Phrase(("quoted",)), Phrase(("and",)), Phrase(("or",)), Phrase(("not",))]),
        (" - ", []),
    ],
)
def test_phrases(text: str, phrases: list[Phrase]) -> None:
    assert phrases_of(text) == phrases


@given(st.text())
def test_no_word_has_what_separates_words(text: str) -> None:
    for word in words_of(text):
        assert not any(each.isspace() or each in "\"'\x00" for each in word)


@given(st.text(), st.text())
def test_words_are_those_of_the_parts_between_spaces(one: str, other: str) -> None:
    assert words_of(f"{one} {other}") == words_of(one) + words_of(other)


@given(st.text())
def test_words_have_the_words_that_they_are(text: str) -> None:
    words = [word for word in words_of(text) if word.isascii()]
    assert words_of(" ".join(words)) == words
