"""A user's function makes vectors: it is loaded, its answers are checked, and it is not waited for without end."""

import asyncio
import contextlib
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from argosy import config
from argosy.config import Settings
from argosy.errors import EmbedderAwayError, EmbedderError, SettingError, UnavailableError
from argosy.graph.embedder import Embedder
from argosy.workflow.embedder import load_embedder


def lengths(texts: list[str]) -> list[list[float]]:
    return [[len(text), 1] for text in texts]


async def lengths_later(texts: list[str]) -> list[list[float]]:
    await asyncio.sleep(0)
    return lengths(texts)


class Model:
    async def __call__(self, texts: list[str]) -> list[list[float]]:
        return lengths(texts)


def embedder_of(function: Callable[[list[str]], Any], **settings: Any) -> Embedder:
    return Embedder(function, settings_of(**settings))


def settings_of(**settings: Any) -> Settings:
    return config.load({name: str(value) for name, value in settings.items()})


@pytest.mark.parametrize(
    "function", [lengths, lengths_later, Model(), lambda texts: np.asarray(lengths(texts), np.float32)]
)
async def test_a_function_makes_a_vector_of_each_text(function: Callable[[list[str]], Any]) -> None:
    assert await embedder_of(function).embed(["a", "日本"]) == [[1.0, 1.0], [2.0, 1.0]]


async def test_vectors_are_float32() -> None:
    assert await embedder_of(lambda texts: [[0.1]]).embed(["a"]) == [[float(np.float32(0.1))]]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, "no list of vectors"),
        ([["a"]], "no list of vectors"),
        ([], "0 vectors for 1 texts"),
        ([[1.0], [2.0]], "2 vectors for 1 texts"),
        ([[]], "finite numbers"),
        ([[1.0] * 5_000], "finite numbers"),
        ([[0.0, 0.0]], "finite numbers"),
        ([[float("nan")]], "finite numbers"),
        ([[1e300, -1e300]], "finite numbers"),
    ],
)
async def test_a_wrong_answer_is_refused(answer: Any, message: str) -> None:
    with pytest.raises(EmbedderError, match=message):
        await embedder_of(lambda texts: answer).embed(["a"])


async def test_vectors_keep_their_dimension() -> None:
    embedder = embedder_of(lambda texts: [[1.0] * len(texts[0])])
    await embedder.embed(["aa"])

    with pytest.raises(EmbedderError, match="had 2 numbers, and now 3"):
        await embedder.embed(["aaa"])


@pytest.mark.parametrize("error", [KeyError("model"), StopIteration("model"), SystemExit("model")])
async def test_what_the_function_raises_is_said(error: BaseException) -> None:
    def fail(texts: list[str]) -> None:
        raise error

    with pytest.raises(EmbedderError, match=r"EMBEDDER raised .*model"):
        await embedder_of(fail).embed(["a"])


async def test_how_it_fails_is_logged_once_until_it_answers_or_fails_otherwise() -> None:
    answers: list[Any] = [KeyError("a"), KeyError("b"), ValueError("c"), [[1.0]], ValueError("d")]

    async def embed(texts: list[str]) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    embedder = embedder_of(embed)
    with capture_logs() as told:
        while answers:
            with contextlib.suppress(EmbedderError):
                await embedder.embed(["text"])

    assert [(each["event"], each["message"].split(": ")[-1]) for each in told] == [
        ("embedder.failed", "'a'"),
        ("embedder.failed", "c"),
        ("embedder.failed", "d"),
    ]


@pytest.mark.parametrize("cause", [ConnectionRefusedError("no"), TimeoutError("no"), UnavailableError("no")])
async def test_a_function_whose_model_cannot_be_reached_is_away(cause: Exception) -> None:
    async def fail(texts: list[str]) -> None:
        raise cause

    async def fail_as_a_library_does(texts: list[str]) -> None:
        raise RuntimeError("the request failed") from cause

    for function in (fail, fail_as_a_library_does):
        with pytest.raises(EmbedderAwayError, match="EMBEDDER raised"):
            await embedder_of(function).embed(["a"])


async def test_a_function_that_hangs_is_not_waited_for_and_holds_a_bounded_number_of_threads() -> None:
    go_on, began = threading.Event(), []

    def hang(texts: list[str]) -> list[list[float]]:
        began.append(texts)
        go_on.wait(30)
        return lengths(texts)

    embedder = embedder_of(hang, EMBEDDER_TIMEOUT_S=0.05, EMBEDDER_CALLS_MAX=2)
    for _ in range(3):
        with pytest.raises(EmbedderAwayError, match=r"longer than EMBEDDER_TIMEOUT_S=0.05"):
            await embedder.embed(["a"])
    assert len(began) == 2

    go_on.set()
    async with asyncio.timeout(10):
        while True:
            try:
                assert await embedder.embed(["a"]) == [[1.0, 1.0]]
                return
            except EmbedderAwayError:
                continue


async def test_calls_beyond_those_that_may_go_on_at_once_wait() -> None:
    running, most = 0, 0

    async def embed(texts: list[str]) -> list[list[float]]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return lengths(texts)

    embedder = embedder_of(embed, EMBEDDER_CALLS_MAX=2)
    await asyncio.gather(*(embedder.embed(["a"]) for _ in range(6)))

    assert most == 2


async def test_the_function_gets_a_bounded_number_of_texts() -> None:
    calls: list[int] = []

    def embed(texts: list[str]) -> list[list[float]]:
        calls.append(len(texts))
        return lengths(texts)

    vectors = await embedder_of(embed, EMBEDDER_TEXTS_MAX=3).embed(["a" * number for number in range(1, 8)])

    assert calls == [3, 3, 1]
    assert [vector[0] for vector in vectors] == [1, 2, 3, 4, 5, 6, 7]


async def test_a_search_has_a_vector_of_a_bounded_text_unless_it_is_empty() -> None:
    embedder = embedder_of(lengths, EMBEDDER_TEXT_LENGTH_MAX=5, EMBEDDER_VECTOR="e5")

    assert await embedder.vector_of("ada lovelace") == ("e5", [5.0, 1.0])
    assert await embedder.vector_of("  ") is None


@pytest.fixture
def _own_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_vectors.py").write_text("def embed(texts):\n    return [[1] for _ in texts]\nnumber = 1\n")
    (tmp_path / "own_broken.py").write_text("import there_is_none_such\n")
    (tmp_path / "flows.py").write_text("")
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.mark.usefixtures("_own_modules")
async def test_a_function_is_loaded_from_beside_the_workflows(tmp_path: Path) -> None:
    embedder = load_embedder(settings_of(EMBEDDER="own_vectors:embed", ARGOSY_WORKFLOWS=tmp_path / "flows.py"))

    assert embedder is not None
    assert await embedder.embed(["a"]) == [[1.0]]
    assert load_embedder(settings_of()) is None


@pytest.mark.usefixtures("_own_modules")
@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("own_vectors", "module:function"),
        ("own vectors:embed", "module:function"),
        ("own_vectors:", "module:function"),
        ("own_vectors:none", "EMBEDDER cannot be loaded: own_vectors:none: AttributeError"),
        ("own_vectors:number", "is no function"),
        ("own_broken:embed", "No module named 'there_is_none_such' .*own_broken.py:1"),
    ],
)
def test_one_that_cannot_be_loaded_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SettingError, match=message):
        load_embedder(settings_of(EMBEDDER=named))
