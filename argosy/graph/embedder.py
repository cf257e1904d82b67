"""Makes vectors of texts with a function of the user's (EMBEDDER=module:function). Nothing needs one.

    def embed(texts: list[str]) -> list[list[float]]:  # or async

Rules:
- The function gets 1 to EMBEDDER_TEXTS_MAX texts of 1 to EMBEDDER_TEXT_LENGTH_MAX characters, and answers with one
  vector for each: all of one dimension, of finite numbers that are not all 0. Rows of numpy are vectors, too.
- One that is not async runs in a thread. A thread cannot be stopped: a call that takes longer than EMBEDDER_TIMEOUT_S
  fails and goes on, as one of EMBEDDER_CALLS_MAX. While all of these go on, further calls wait, and then fail.
- EmbedderAwayError: it may work later. So for a call that takes too long, and for a function that says so: it raises
  UnavailableError, ConnectionError or TimeoutError, or something that was raised from one of these.
- EmbedderError: whatever else it raises, and wrong answers.
"""

import asyncio
import contextlib
import inspect
import math
import threading
from array import array
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import structlog

from argosy import telemetry
from argosy.errors import ArgosyError, EmbedderAwayError, EmbedderError, UnavailableError
from argosy.graph.ops import DIMENSION_MAX

if TYPE_CHECKING:
    from argosy.config import Settings  # importing argosy reads no settings

log = structlog.get_logger()

Vector = list[float]  # as float32 has them

_AWAY: Final = (UnavailableError, ConnectionError, TimeoutError)
_CAUSES_MAX: Final = 16  # errors may be their own causes
_MESSAGE_CHARACTERS_MAX: Final = 500  # of an error of user code, which may quote all texts


class Embedder:
    """A function that was registered. Used on one event loop.

    vector_name: of the vectors that it makes; text_length_max: of a text, in characters.
    """

    def __init__(self, function: Callable[[list[str]], Any], settings: "Settings") -> None:
        self.vector_name = settings.embedder_vector
        self.text_length_max = settings.embedder_text_length_max
        self._function = function
        self._timeout_s = settings.embedder_timeout_s
        self._texts_max = settings.embedder_texts_max
        self._room = asyncio.Semaphore(settings.embedder_calls_max)
        self._dimension: int | None = None  # of the first answer
        self._failure = ""  # of the last call; empty when it was answered

    async def vector_of(self, text: str) -> tuple[str, Vector] | None:
        """Return the name and the vector to search with; None for a text without anything in it."""
        text = text[: self.text_length_max]
        return (self.vector_name, (await self.embed([text]))[0]) if text.strip() else None

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """Return a vector for each text. Raises EmbedderAwayError, EmbedderError."""
        vectors: list[Vector] = []
        for begin in range(0, len(texts), self._texts_max):
            vectors += await self._vectors_of(list(texts[begin : begin + self._texts_max]))
        return vectors

    async def _vectors_of(self, texts: list[str]) -> list[Vector]:
        began_s, outcome = perf_counter(), "cancelled"
        try:
            vectors = self._checked(await self._answer(texts), len(texts))
            outcome, self._failure = "answered", ""
            return vectors
        except (EmbedderAwayError, EmbedderError) as error:
            outcome = "away" if isinstance(error, EmbedderAwayError) else "failed"
            self._say(error)
            raise
        finally:
            telemetry.EMBEDDER_S.labels(outcome=outcome).observe(perf_counter() - began_s)

    def _say(self, error: ArgosyError) -> None:
        """Log how the function fails, once until it answers or fails otherwise: all turns that need it try it again."""
        failure = type(error.__cause__ or error).__name__
        if failure != self._failure:
            log.warning(telemetry.EMBEDDER_FAILED, type=failure, message=str(error))
        self._failure = failure

    async def _answer(self, texts: list[str]) -> Any:
        try:
            async with asyncio.timeout(self._timeout_s) as timeout:
                await self._room.acquire()
                if not inspect.iscoroutinefunction(self._function):
                    answer = await self._call_in_thread(texts)
                    return await answer if inspect.isawaitable(answer) else answer
                try:
                    return await self._function(texts)
                finally:
                    self._room.release()
        except (Exception, SystemExit) as error:
            if isinstance(error, TimeoutError) and timeout.expired():
                raise EmbedderAwayError(f"EMBEDDER took longer than EMBEDDER_TIMEOUT_S={self._timeout_s:g}") from error
            raise _raised(error) from error

    async def _call_in_thread(self, texts: list[str]) -> Any:
        """Call the function in a thread, which gives its room back when it ends."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Any] = loop.create_future()

        def end(answer: Any, error: BaseException | None) -> None:
            self._room.release()
            if ended.done():
                return  # nobody waits any more
            if error is None:
                ended.set_result(answer)
            else:
                ended.set_exception(error)

        def run() -> None:
            answer: Any = None
            error: BaseException | None = None
            try:
                answer = self._function(texts)
            except BaseException as raised:
                # A future refuses StopIteration, and what ends a thread must not end the process.
                is_plain = isinstance(raised, Exception) and not isinstance(raised, StopIteration)
                error = raised if is_plain else RuntimeError(repr(raised))
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(end, answer, error)

        try:
            threading.Thread(target=run, name="embedder", daemon=True).start()
        except RuntimeError:  # the process may have no more threads
            self._room.release()
            raise
        return await ended

    def _checked(self, answer: Any, count: int) -> list[Vector]:
        try:
            vectors = [array("f", vector) for vector in answer]
        except (TypeError, ValueError, OverflowError) as error:
            raise EmbedderError(f"EMBEDDER answered with no list of vectors: {error}") from error
        if len(vectors) != count:
            raise EmbedderError(f"EMBEDDER answered with {len(vectors)} vectors for {count} texts")
        for vector in vectors:
            if not 1 <= len(vector) <= DIMENSION_MAX or not math.isfinite(sum(vector)) or not any(vector):
                raise EmbedderError(f"EMBEDDER's vectors have 1 to {DIMENSION_MAX} finite numbers, not all 0")
            if len(vector) != (self._dimension or len(vector)):
                raise EmbedderError(f"EMBEDDER's vectors had {self._dimension} numbers, and now {len(vector)}")
            self._dimension = len(vector)
        return [vector.tolist() for vector in vectors]


def _raised(error: BaseException) -> ArgosyError:
    """Return what it comes to that the function raised this."""
    message = f"EMBEDDER raised {type(error).__name__}: {_words_of(error)}"
    return (EmbedderAwayError if any(isinstance(each, _AWAY) for each in _causes_of(error)) else EmbedderError)(message)


def _causes_of(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    for _ in range(_CAUSES_MAX):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__


def _words_of(error: BaseException) -> str:
    try:
        return str(error)[:_MESSAGE_CHARACTERS_MAX]
    except Exception:  # the __str__ of a user's class may raise anything
        return ""
