"""Questions to Postgres that many requests ask at the same time.

All questions that come while Postgres answers one call go out together in the next call.
"""

import asyncio
from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar

from argosy.clock import SystemClock
from argosy.rounds import Rounds
from argosy.store.fault import Fault

Question = TypeVar("Question", bound=Hashable)
Answer = TypeVar("Answer")


class Answerer(Protocol[Question, Answer]):
    """Answers many questions at once."""

    async def answer(self, questions: list[Question]) -> dict[Question, Answer]:
        """Return the answers by question; a question that is left out has none."""


class Together(Generic[Question, Answer]):
    """Collects questions, and asks them with one call of the answerer at a time. Used from one event loop."""

    def __init__(self, answerer: Answerer[Question, Answer]) -> None:
        self._answerer = answerer
        self._rounds = Rounds("questions", SystemClock())
        self._asked: dict[Question, asyncio.Future[Answer | None]] = {}
        self._task: asyncio.Task[None] | None = None

    async def ask(self, question: Question) -> Answer | None:
        """Return the answer, or None when there is none or Postgres cannot be asked."""
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
            answers = await self._answers(list(asked))
            for question, future in asked.items():
                if not future.done():
                    future.set_result(answers.get(question))

    async def _answers(self, questions: list[Question]) -> dict[Question, Answer]:
        """Ask all questions. When Postgres is away or slow, none of them has an answer.

        After any other error each half is asked alone, so that only a question that cannot be asked has no answer.
        """
        try:
            return await self._answerer.answer(questions)
        except Exception as error:
            if self._rounds.say(error) in (Fault.AWAY, Fault.SLOW) or len(questions) == 1:
                return {}
        half = len(questions) // 2
        return await self._answers(questions[:half]) | await self._answers(questions[half:])
