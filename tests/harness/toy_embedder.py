"""EMBEDDER of the tests: words that mean the same have one number, and a text is a bag of these. Nothing is random."""

import hashlib
import re

DIMENSION = 64
MEANING = {"physician": "doctor", "medic": "doctor", "automobile": "car", "vehicle": "car"}


def embed(texts: list[str]) -> list[list[float]]:
    return [_vector_of(text) for text in texts]


def _vector_of(text: str) -> list[float]:
    vector = [0.0] * DIMENSION
    vector[0] = 0.01  # a text without words has a direction, too
    for word in re.findall(r"\w+", text.lower()):
        digest = hashlib.blake2b(MEANING.get(word, word).encode(), digest_size=4).digest()
        vector[1 + int.from_bytes(digest, "little") % (DIMENSION - 1)] += 1.0
    return vector


async def embed_shorter(texts: list[str]) -> list[list[float]]:
    """Another model."""
    return [vector[:3] for vector in embed(texts)]


def fail(texts: list[str]) -> list[list[float]]:
    raise KeyError("the model's secret")


async def fail_for_want_of_a_server(texts: list[str]) -> list[list[float]]:
    raise ConnectionRefusedError("models.internal:443")
