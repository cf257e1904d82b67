"""Makes vectors of texts with a function of the user's: EMBEDDER=module:function. Nothing here needs one.

    def embed(texts: list[str]) -> list[list[float]]:  # or async

Rules:
- The function gets 1 to TEXTS_MAX texts of 1 to TEXT_LENGTH_MAX characters, and answers with one vector for each: all
  of one dimension, of finite numbers that are not all 0. Rows of numpy are vectors, too.
- One that is not async runs in a thread. A thread cannot be stopped: a call that takes longer than the timeout fails
  and goes on; while THREADS_MAX of them go on, others fail at once.
- Whatever fails raises EmbedderError, which says why in one line. No answer is kept.
- The vectors have the name VECTOR_NAME; a node's is of its label, its id and the strings in its props. It is made when
  a write is put together, so before the write is recorded, and `merge_props` does not change it.
"""

import asyncio
import contextlib
import importlib
import inspect
import math
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from argosy.errors import EmbedderError, SettingError
from argosy.graph.ops import DIMENSION_MAX, Op, UpsertNode
from argosy.graph.strings import strings_of

VECTOR_NAME: Final = "text"
TEXTS_MAX: Final = 64
TEXT_LENGTH_MAX: Final = 8_000  # about as much as models of today take
THREADS_MAX: Final = 4


class Embedder:
    """A function that was registered. Used on one event loop."""

    def __init__(self, function: Callable[[list[str]], Any], timeout_s: float) -> None:
        self._function = function
        self._timeout_s = timeout_s
        self._dimension: int | None = None  # of the first answer
        self._threads = 0

    @classmethod
    def load(cls, named: str, timeout_s: float) -> "Embedder | None":
        """Return the embedder that a setting names; None when it names none. Raises SettingError."""
        if not named:
            return None
        module, _, name = named.partition(":")
        if not name.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
            raise SettingError(f"EMBEDDER is module:function, such as shop.vectors:embed, not {named!r}")
        if (folder := str(Path.cwd())) not in sys.path:
            sys.path.append(folder)
        try:
            function = getattr(importlib.import_module(module), name)
        except Exception as error:
            raise SettingError(f"EMBEDDER={named} cannot be loaded: {type(error).__name__}: {error}") from error
        if not callable(function):
            raise SettingError(f"EMBEDDER={named} is no function")
        return cls(function, timeout_s)

    async def vector_of(self, text: str) -> tuple[str, list[float]] | None:
        """Return the name and the vector to search with; None for a text without anything in it."""
        text = text[:TEXT_LENGTH_MAX]
        return (VECTOR_NAME, (await self.embed([text]))[0]) if text.strip() else None

    async def with_vectors(self, ops: Sequence[Op]) -> list[Op]:
        """Return the operations, with a vector for each node that is upserted without any."""
        done = list(ops)
        places = [at for at, op in enumerate(ops) if isinstance(op, UpsertNode) and op.vectors is None]
        for begin in range(0, len(places), TEXTS_MAX):
            part = places[begin : begin + TEXTS_MAX]
            vectors = await self.embed([_text_of(done[at]) for at in part])
            for at, vector in zip(part, vectors, strict=True):
                done[at] = msgspec.structs.replace(done[at], vectors={VECTOR_NAME: vector})
        return done

    async def embed(self, texts: list[str]) -> list[list[float]]:
        """Return a vector for each text. Raises EmbedderError."""
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._call(texts)
        except TimeoutError as error:
            raise EmbedderError(f"the embedder took longer than {self._timeout_s:g} s") from error
        return self._checked(answer, len(texts))

    async def _call(self, texts: list[str]) -> Any:
        try:
            if inspect.iscoroutinefunction(self._function):
                return await self._function(texts)
            return await self._call_in_thread(texts)
        except (TimeoutError, EmbedderError):
            raise
        except Exception as error:
            raise EmbedderError(f"the embedder failed: {type(error).__name__}: {error}") from error

    async def _call_in_thread(self, texts: list[str]) -> Any:
        if self._threads >= THREADS_MAX:
            raise EmbedderError(f"{self._threads} calls of the embedder go on: no more are begun")
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Any] = loop.create_future()

        def end(answer: Any, error: BaseException | None) -> None:
            self._threads -= 1
            if not ended.done() and error is not None:
                ended.set_exception(error)
            elif not ended.done():
                ended.set_result(answer)

        def run() -> None:
            answer, error = None, None
            try:
                answer = self._function(texts)
            except BaseException as raised:
                error = raised if isinstance(raised, Exception) else RuntimeError(repr(raised))
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(end, answer, error)

        self._threads += 1
        threading.Thread(target=run, name="embedder", daemon=True).start()
        return await ended

    def _checked(self, answer: Any, count: int) -> list[list[float]]:
        try:
            vectors = [[float(number) for number in vector] for vector in answer]
        except (TypeError, ValueError) as error:
            raise EmbedderError(f"the embedder answered with no list of vectors: {error}") from error
        if len(vectors) != count:
            raise EmbedderError(f"the embedder answered with {len(vectors)} vectors for {count} texts")
        for vector in vectors:
            if not 1 <= len(vector) <= DIMENSION_MAX or not all(map(math.isfinite, vector)) or not any(vector):
                raise EmbedderError(f"the embedder's vectors have 1 to {DIMENSION_MAX} finite numbers, not all 0")
            if len(vector) != (self._dimension or len(vector)):
                raise EmbedderError(f"the embedder's vectors had {self._dimension} numbers, and now {len(vector)}")
            self._dimension = len(vector)
        return vectors


def _text_of(op: Op) -> str:
    if not isinstance(op, UpsertNode):
        raise TypeError(op)
    return f"{op.label} {op.id}\n{strings_of(op.props, TEXT_LENGTH_MAX)}"[:TEXT_LENGTH_MAX]
