"""Which words a text has, for the text index and for searches in it. Pure.

Rules:
- Case, width, ligatures and the accents of European letters make no difference (NFKC, casefold).
- A word is a run of letters, digits and their marks. Punctuation separates words: state-of-the-art has four.
- A symbol (+ = < > $ # @ & % and others, emoji among them) is a word of its own: C++ has three.
- In scripts that are written without spaces (Chinese, Japanese, Korean, Thai, Lao, Burmese, Khmer) words are all
  pairs of neighbouring characters and, at the end of a run, the last one: 日本語 has 日本, 本語 and 語. So every part
  of a run is found: longer ones by their pairs in a row, one character as the beginning of a word.
- A search is for phrases: what has no space in it stands in a row in what is found. C++ does not find "C", and
  state-of-the-art finds "state of the art".
- No word has a space, a quote or a control character.

Any text will do: what is no word (punctuation, half of a surrogate pair) is left out.
"""

import re
import unicodedata
from typing import Final, NamedTuple

WORD_LENGTH_MAX: Final = 64  # longer ones are cut, in texts as in searches: Base64, long numbers
SEARCH_LENGTH_MAX: Final = 10_000  # characters; what a search has behind them is left out
PHRASES_MAX: Final = 32  # of a search; more words than a question has
WORDS_MAX: Final = 64  # of a phrase

# Punctuation, as Unicode has it, that means something: C#, @ada, R&D, 5%.
_SYMBOLS: Final = frozenset("#@&%")
_ACCENTS: Final = re.compile("[\u0300-\u036f]+")
_UNSPACED: Final = (
    "\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3021-\u3029\u3031-\u3035\u303b\u3041-\u30fa\u30fc-\u318f"
    "\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff"
    "\U0001b000-\U0001b16f\U00020000-\U0003fffd"
)
_RUN: Final = re.compile(f"[{_UNSPACED}]+")
_KEPT_MAX: Final = 20_000  # characters whose kind is remembered; texts have few different ones


class Phrase(NamedTuple):
    """Words in a row. is_open: the last one is the beginning of a word."""

    words: tuple[str, ...]
    is_open: bool = False


class _Kinds(dict[int, str]):
    """What each character becomes: itself in a word, a space, a word of its own, or nothing."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        category = unicodedata.category(char)
        if category == "Cf" or 0xFE00 <= code <= 0xFE0F:  # joiners, soft hyphens; how an emoji is drawn
            made = ""
        elif category[0] in "LNM":
            made = char
        # One that this Python's Unicode does not know is most likely a new emoji; 0xFFFE and kin never are characters.
        elif category[0] == "S" or char in _SYMBOLS or (category == "Cn" and code & 0xFFFE != 0xFFFE):
            made = f" {char} "
        else:
            made = " "
        if len(self) < _KEPT_MAX:
            self[code] = made
        return made


_KINDS: Final = _Kinds()


def words_of(text: str) -> list[str]:
    """Return the words of a text in their order, as the index has them."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).casefold()
        text = unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFD", text)))
        text = _RUN.sub(_pairs, text.translate(_KINDS))
    else:
        text = text.lower().translate(_KINDS)
    return [word[:WORD_LENGTH_MAX] for word in text.split()]


def phrases_of(text: str) -> list[Phrase]:
    """Return what a search for a text looks for: each phrase once; the first PHRASES_MAX of them."""
    found: dict[Phrase, None] = {}
    for part in text[:SEARCH_LENGTH_MAX].split():
        if phrase := _phrase_of(words_of(part)):
            found[phrase] = None
            if len(found) == PHRASES_MAX:
                break
    return list(found)


def _phrase_of(words: list[str]) -> Phrase | None:
    """Return a phrase that also finds what goes on behind it, in a script without spaces."""
    if not words or len(words) > WORDS_MAX:
        return Phrase(tuple(words[:WORDS_MAX])) if words else None
    last = words[-1]
    if len(last) == 1 and _RUN.match(last):
        # The last character of a run. A pair before it ends with it: the run is found by its pairs. Otherwise it is all
        # of the run.
        if len(words) > 1 and len(words[-2]) == 2 and _RUN.fullmatch(words[-2]):
            return Phrase(tuple(words[:-1]))
        return Phrase(tuple(words), is_open=True)
    return Phrase(tuple(words))


def _pairs(run: re.Match[str]) -> str:
    chars = run[0]
    return f" {' '.join(chars[at : at + 2] for at in range(len(chars)))} "
