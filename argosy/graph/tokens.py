"""Estimates how many tokens of a language model a text is, without any model. Pure.

The estimate: one token for three ASCII characters, one for every other character. Tokenizers of today make fewer of
prose (four to five characters a token in English, about one token a character in Chinese) and about as many of JSON,
ids and numbers. So a text within a budget is within it for a model, too, but for texts of emoji.
"""

from typing import Final

_PER_TOKEN: Final = 3  # ASCII characters


def estimate_tokens(text: str) -> int:
    others = 0 if text.isascii() else sum(char > "\x7f" for char in text)
    return others + -(-(len(text) - others) // _PER_TOKEN)


def cut_to_tokens(text: str, tokens: int) -> str:
    """Return a text of at most so many tokens: it ends in … where something was cut off."""
    if estimate_tokens(text) <= tokens:
        return text
    left = (tokens - 1) * _PER_TOKEN  # the … is one
    for at, char in enumerate(text):
        left -= _PER_TOKEN if char > "\x7f" else 1
        if left < 0:
            return f"{text[:at]}…" if tokens > 0 else ""
    return text
