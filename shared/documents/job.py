"""Answer one document's requests: repair answers, check quotes, keep what was answered, and its cost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from shared.documents.ask import AnswerUnusable, Question, accept, quote_again, repair
from shared.documents.checkpoints import TOO_LONG, Checkpoints
from shared.documents.claims import Claims
from shared.documents.evidence import Searchable, check, missing
from shared.documents.line import HandedBack, Line
from shared.documents.plan import Ask, Plan, refuse_above_cap
from shared.errors import DocumentRefused, ModelError, RequestRefused, StorageError
from shared.model import Document, ModelAnswer

T = TypeVar("T")


class Job:
    """The requests for one document, in one try."""

    def __init__(
        self,
        document: Document,
        line: Line,
        claims: Claims,
        last_start: float,
        sent: Callable[[], None],
        kept: Checkpoints | None = None,
        text: Searchable | None = None,
    ) -> None:
        """`kept`: where answers are kept until the document is done. `text`: where quotes are looked for."""
        self.document_id = document.id
        self._before = document  # with the cost of all earlier tries
        self._charged = _Tokens()  # by this try
        self._promised = _Tokens()  # to the requests in progress, at most
        self._used = _Tokens()  # by the answers that make up the result
        self._model = ""
        self.refused: Question | None = None
        """The request to which the model did not answer."""
        self.progressed = False
        """Whether this try has kept an answer, which no later one asks for again."""
        self._line = line
        self._claims = claims
        self._last_start = last_start
        self._sent = sent
        self._kept = kept
        self._text = text
        self._over = False

    @property
    def document(self) -> Document:
        """Return the document with the cost of all requests so far."""
        return self._claims.charged(self._before, self._charged.prompt, self._charged.completion)

    @property
    def whole_answer(self) -> ModelAnswer:
        """Return model and tokens of all answers, without their texts."""
        return ModelAnswer("", "stop", self._model, self._used.prompt, self._used.completion)

    async def recall(self, plan: Plan) -> None:
        """Find what earlier tries kept, so that its cost is known before anything is asked.

        Raises RequestRefused if the model has refused one of the requests for its length, StorageError.
        """
        if self._kept is not None and self._kept.may_exist:
            chains = plan.asks if plan.is_search else [(ask,) for ask in plan.certain]
            await self.each([partial(self._recall, chain) for chain in chains], plan.at_once)

    async def _recall(self, asks: Sequence[Ask]) -> None:
        for ask in asks:
            if await self._found(ask.question) is None:
                break

    async def answer(self, ask: Ask) -> Any:
        """Return the value of the model's answer, repaired once if it has not the required form.

        Raises AnswerUnusable, DocumentRefused, HandedBack, RequestRefused, another ModelError, StorageError.
        """
        asked = ask.question
        found = await self._found(asked)
        if found is None:
            refuse_above_cap(self._cost_with(asked), self._cap, self._line.currency)
            answer, value = await self._repaired(asked, await self._ask(asked, self._sent_in_time))
            answer, value = await self._quoted(asked, answer, value)
            if self._kept is not None:
                await self._kept.keep(asked, answer, self.document)
                self.progressed = True
        else:
            answer, value = found
        self._used.add(answer.prompt_tokens, answer.completion_tokens)
        self._model = answer.model
        return value

    async def affords(self, ask: Ask) -> bool:
        """Return whether the document's cap admits one more request; one whose answer is kept is free."""
        asked = ask.question
        return await self._found(asked) is not None or self._fits_cap(asked)

    async def _found(self, asked: Question) -> tuple[ModelAnswer, Any] | None:
        """Return an answer that an earlier try kept, if it is still acceptable."""
        kept = await self._kept.find(asked) if self._kept else None
        if kept is None:
            return None
        if kept.refused:
            self._before = kept.spent.charged_to(self._before)
            raise RequestRefused("the document is longer than the model's context", code=kept.refused)
        try:
            value = accept(kept.answer, asked.request)
        except AnswerUnusable:
            return None
        if self._wrong_quotes(value):
            return None
        self._before = kept.spent.charged_to(self._before)
        return kept.answer, value

    async def _ask(self, asked: Question, sent: Callable[[], None]) -> ModelAnswer:
        """Return the model's answer. Raises HandedBack, RequestRefused, another ModelError."""
        most = asked.prompt_tokens, asked.request.max_output_tokens
        self._promised.add(*most)
        try:
            return await self._line.ask(self, asked, self._last_start, sent)
        except ModelError as error:
            self.refused = asked
            if self._kept is not None and error.code in TOO_LONG:
                await self._kept.keep(asked, self.whole_answer, self.document, error.code)
            raise
        finally:
            self._promised.add(*(-tokens for tokens in most))

    def _sent_in_time(self) -> None:
        """Note that a request is admitted. Raises HandedBack if another one has failed while it waited."""
        self._sent()
        if self._over:
            raise HandedBack("another request of the document has failed")

    async def _repaired(self, asked: Question, answer: ModelAnswer) -> tuple[ModelAnswer, Any]:
        try:
            return answer, accept(answer, asked.request)
        except AnswerUnusable as unusable:
            again = repair(asked, answer, unusable)
            if again is None or not self._fits_cap(again):
                raise
            with contextlib.suppress(HandedBack, ModelError):  # the first answer counts as an attempt then
                repaired = await self._ask(again, self._sent)
                return _in_all(answer, repaired), accept(repaired, asked.request)
            raise

    async def _quoted(self, asked: Question, answer: ModelAnswer, value: Any) -> tuple[ModelAnswer, Any]:
        """Ask once more if a quote is not in the document. Raises DocumentRefused if one still is not."""
        if not (wrong := self._wrong_quotes(value)):
            return answer, value
        again = quote_again(asked, answer, wrong)
        if self._fits_cap(again):
            second, value = await self._repaired(again, await self._ask(again, self._sent))
            answer, wrong = _in_all(answer, second), self._wrong_quotes(value)
        if wrong:
            raise DocumentRefused(
                f"{len(wrong)} quote(s) of its answer do not stand in it (at {', '.join(wrong[:5])})"
            )
        return answer, value

    def _wrong_quotes(self, value: Any) -> list[str]:
        task = self._line.config.task
        return missing(check(value, task.quotes, self._text)) if self._text and task.require_quotes else []

    async def each(self, work: Sequence[Callable[[], Awaitable[T]]], at_once: int) -> list[T]:
        """Do all of it, some at a time. If one fails, those in progress end before the error is raised."""
        self._over = False
        slots = asyncio.Semaphore(at_once)
        outcomes = await asyncio.gather(*[self._one(each, slots) for each in work], return_exceptions=True)
        errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if errors:
            raise min(errors, key=_gravity)
        return [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]

    async def _one(self, work: Callable[[], Awaitable[T]], slots: asyncio.Semaphore) -> T:
        async with slots:
            if self._over:
                raise HandedBack("another request of the document has failed")
            try:
                return await work()
            except BaseException:
                self._over = True
                raise

    @property
    def _cap(self) -> float | None:
        return self._line.config.task.max_cost_per_document

    def _fits_cap(self, asked: Question) -> bool:
        return self._cap is None or self._cost_with(asked) <= self._cap

    def _cost_with(self, asked: Question) -> float:
        """Return what the document may cost with one more request, and with those in progress."""
        prompt = self._promised.prompt + asked.prompt_tokens
        completion = self._promised.completion + asked.request.max_output_tokens
        return self._claims.charged(self.document, prompt, completion).cost

    def charge(self, prompt_tokens: int, completion_tokens: int) -> None:
        """Add tokens and their cost to the document; they are saved with its next change."""
        self._charged.add(prompt_tokens, completion_tokens)


@dataclass
class _Tokens:
    prompt: int = 0
    completion: int = 0

    def add(self, prompt: int, completion: int) -> None:
        self.prompt += prompt
        self.completion += completion


def _in_all(first: ModelAnswer, second: ModelAnswer) -> ModelAnswer:
    """Return the second answer with the tokens of both."""
    return replace(
        second,
        prompt_tokens=first.prompt_tokens + second.prompt_tokens,
        completion_tokens=first.completion_tokens + second.completion_tokens,
    )


def _gravity(error: BaseException) -> int:
    """Return the place of an error among several of one document: the first one decides on it."""
    kinds = (DocumentRefused, RequestRefused, AnswerUnusable, ModelError, StorageError, HandedBack)
    return next((place for place, kind in enumerate(kinds) if isinstance(error, kind)), -1)
