"""A user's function makes vectors: it is loaded, its answers are checked, and it is not waited for without end."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from argosy.errors import EmbedderError, SettingError
from argosy.graph import embedder as module
from argosy.graph.embedder import TEXT_LENGTH_MAX, TEXTS_MAX, Embedder
from argosy.graph.ops import DeleteNode, UpsertNode


def lengths(texts: list[str]) -> list[list[float]]:
    return [[len(text), 1] for text in texts]


async def lengths_later(texts: list[str]) -> list[list[float]]:
    await asyncio.sleep(0)
    return lengths(texts)


@pytest.mark.parametrize("function", [lengths, lengths_later, lambda texts: np.asarray(lengths(texts), np.float32)])
async def test_a_function_makes_a_vector_of_each_text(function: Callable[[list[str]], Any]) -> None:
    assert await Embedder(function, 5).embed(["a", "日本"]) == [[1.0, 1.0], [2.0, 1.0]]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, "no list of vectors"),
        ([["a"]], "no list of vectors"),
        ([], "0 vectors for 1 texts"),
        ([[1.0], [2.0]], "2 vectors for 1 texts"),
        ([[]], "finite numbers"),
        ([[0.0, 0.0]], "finite numbers"),
        ([[float("nan")]], "finite numbers"),
    ],
)
async def test_a_wrong_answer_is_refused(answer: Any, message: str) -> None:
    with pytest.raises(EmbedderError, match=message):
        await Embedder(lambda texts: answer, 5).embed(["a"])


async def test_vectors_keep_their_dimension() -> None:
    embedder = Embedder(lambda texts: [[1.0] * len(texts[0])], 5)
    await embedder.embed(["aa"])

    with pytest.raises(EmbedderError, match="had 2 numbers, and now 3"):
        await embedder.embed(["aaa"])


async def test_what_the_function_raises_is_said() -> None:
    def fail(texts: list[str]) -> None:
        raise KeyError("model")

    with pytest.raises(EmbedderError, match="the embedder failed: KeyError: 'model'"):
        await Embedder(fail, 5).embed(["a"])


async def test_a_function_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "THREADS_MAX", 2)
    go_on = threading.Event()

    def hang(texts: list[str]) -> list[list[float]]:
        go_on.wait(30)
        return lengths(texts)

    embedder = Embedder(hang, 0.05)
    for _ in range(2):
        with pytest.raises(EmbedderError, match=r"took longer than 0.05 s"):
            await embedder.embed(["a"])
    with pytest.raises(EmbedderError, match="2 calls of the embedder go on"):
        await embedder.embed(["a"])

    go_on.set()
    async with asyncio.timeout(10):
        while True:
            try:
                assert await embedder.embed(["a"]) == [[1.0, 1.0]]
                return
            except EmbedderError:
                await asyncio.sleep(0.01)


async def test_nodes_without_vectors_get_one_of_their_text() -> None:
    calls: list[list[str]] = []

    def embed(texts: list[str]) -> list[list[float]]:
        calls.append(texts)
        return lengths(texts)

    own = UpsertNode("own", "Note", vectors={"mine": [1.0]})
    none = UpsertNode("none", "Note", vectors={})
    done = await Embedder(embed, 5).with_vectors(
        [own, UpsertNode("ada", "Person", {"name": "Ada", "born": 1815, "of": ["日本"]}), DeleteNode("bob"), none]
    )

    assert done == [
        own,
        UpsertNode("ada", "Person", {"name": "Ada", "born": 1815, "of": ["日本"]}, vectors={"text": [17.0, 1.0]}),
        DeleteNode("bob"),
        none,
    ]
    assert calls == [["Person ada\nAda\n日本"]]


async def test_the_function_gets_a_bounded_number_of_bounded_texts() -> None:
    calls: list[list[str]] = []

    def embed(texts: list[str]) -> list[list[float]]:
        calls.append(texts)
        return lengths(texts)

    await Embedder(embed, 5).with_vectors(
        [UpsertNode(f"n{number}", "Note", {"text": "x" * 50_000}) for number in range(TEXTS_MAX + 1)]
    )

    assert [len(texts) for texts in calls] == [TEXTS_MAX, 1]
    assert {len(text) for texts in calls for text in texts} == {TEXT_LENGTH_MAX}


async def test_a_search_has_a_vector_unless_its_text_is_empty() -> None:
    embedder = Embedder(lengths, 5)

    assert await embedder.vector_of("ada") == ("text", [3.0, 1.0])
    assert await embedder.vector_of("  ") is None


async def test_a_function_is_loaded_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_vectors.py").write_text("def embed(texts):\n    return [[1] for _ in texts]\nnumber = 1\n")
    (tmp_path / "own_broken.py").write_text("import there_is_none_such\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    embedder = Embedder.load("own_vectors:embed", 5)

    assert embedder is not None
    assert await embedder.embed(["a"]) == [[1.0]]
    assert Embedder.load("", 5) is None
    for named, message in (
        ("own_vectors", "module:function"),
        ("own vectors:embed", "module:function"),
        ("own_vectors:none", "cannot be loaded"),
        ("own_vectors:number", "is no function"),
        ("own_broken:embed", "ModuleNotFoundError: No module named 'there_is_none_such'"),
    ):
        with pytest.raises(SettingError, match=message):
            Embedder.load(named, 5)
