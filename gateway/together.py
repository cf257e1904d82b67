"""Questions to Postgres that many ask at the same time: those that come while one is answered are the next."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from argosy.errors import StoreUnavailableError

Question = TypeVar("Question", bound=Hashable)
Answer = TypeVar("Answer")


class Together(Generic[Question, Answer]):
    """answer(questions): what is known of them; the others have no answer. Used from one event loop."""

    def __init__(self, answer: Callable[[list[Question]], Awaitable[dict[Question, Answer]]]) -> None:
        self._answer = answer
        self._asked: dict[Question, asyncio.Future[Answer | None]] = {}
        self._task: asyncio.Task[None] | None = None

    async def ask(self, question: Question) -> Answer | None:
        """None: there is no answer, or Postgres cannot be asked."""
        asked = self._asked.get(question)
        if asked is None:
            loop = asyncio.get_running_loop()
            asked = self._asked[question] = loop.create_future()
            if self._task is None or self._task.done():
                self._task = loop.create_task(self._run())
        return await asyncio.shield(asked)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while self._asked:
            asked, self._asked = self._asked, {}
            try:
                answers = await self._answer(list(asked))
            except (StoreUnavailableError, TimeoutError):
                answers = {}
            for question, future in asked.items():
                if not future.done():
                    future.set_result(answers.get(question))
