"""Ask about one document in one slice: each request is paced, fenced, retried and charged."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from shared.documents.ask import AnswerUnusable, Question, accept, quote_again, repair
from shared.documents.blame import Witness
from shared.documents.checkpoints import Checkpoints
from shared.documents.claims import Claims
from shared.documents.drain_tools import DrainTools
from shared.documents.evidence import Searchable, check, missing
from shared.documents.pacer import Pacer
from shared.documents.retry import with_retry
from shared.errors import (
    DocumentRefused,
    ModelError,
    ModelUnavailable,
    RateLimited,
    RequestRefused,
    StorageError,
)
from shared.hosting.leases import WorkLease
from shared.model import DeploymentConfig, DeploymentRecord, Document, ModelAnswer

T = TypeVar("T")

_AT_ONCE = 16  # requests of one document in progress
WARM_UP = timedelta(minutes=5)
"""How long after its first answer a deployment may still answer some requests with 404."""
LONGEST_PAUSE = 60.0
"""Seconds: no rate limit has a longer window, whatever a header claims."""


class HandedBack(Exception):
    """The slice ends or the deployment closes: the document waits again, without an attempt counted."""


class CapacityTooSmall(HandedBack):
    """Azure gave the deployment less than the configured capacity, which the document needs."""


class Line:
    """The way from one slice to its deployment, which all of its documents share."""

    def __init__(
        self,
        tools: DrainTools,
        config: DeploymentConfig,
        endpoint: str,
        work: WorkLease,
        record: DeploymentRecord,
        witness: Witness,
    ) -> None:
        self._tools = tools
        self.config = config
        self._endpoint = endpoint
        self._opened_at = record.generation.opened_at
        self.work = work
        self.witness = witness
        self.pacer: Pacer = tools.pacer(config, record.generation)

    async def ask(
        self, job: Job, asked: Question, last_start: float, sent: Callable[[], None]
    ) -> ModelAnswer:
        """Return the answer to a request that starts before monotonic `last_start`.

        `sent`: called when the request is admitted. Raises HandedBack, RequestRefused, another ModelError.
        """
        refusal: RateLimited | None = None
        tools, seconds = self._tools, self._tools.timing.request_seconds

        async def ask() -> ModelAnswer:
            nonlocal refusal
            tokens = self.pacer.estimate(asked.prompt_tokens, asked.request.max_output_tokens)
            tokens = min(tokens, self.pacer.limits.tokens_at_once)
            sent_at = await self.pacer.admit(tokens, last_start)
            if sent_at is None:
                raise refusal or HandedBack("it waits for the deployment's rate limit")
            sent()
            # Await nothing between this check and the request: see Note: the fence in docs/design.md.
            if not self.work.allows(seconds):
                raise HandedBack("the deployment is closing, or the slice has ended")
            self.witness.saw_question(job.document)
            try:
                return await tools.model.ask(self._endpoint, self.config.name, asked.request, timeout=seconds)
            except ModelUnavailable as error:
                if error.code == "timeout":  # Azure may charge for it
                    job.charge(asked.prompt_tokens, asked.request.max_output_tokens)
                raise
            except RateLimited as error:
                refusal = error
                self.pacer.refused(sent_at, tokens)
                raise

        warming_up = self._opened_at is not None and tools.clock.now() - self._opened_at < WARM_UP
        answer = await with_retry(
            ask,
            tools.clock,
            until=last_start,
            warming_up=warming_up,
            pause_everybody=lambda seconds: self.pacer.pause(min(seconds, LONGEST_PAUSE)),
        )
        self.pacer.learn(asked.prompt_tokens, answer)
        self.witness.saw_answer()
        job.charge(answer.prompt_tokens, answer.completion_tokens)
        return answer

    def refuse_beyond_capacity(self, asked: Question) -> None:
        """Raise CapacityTooSmall if it fits into sku.capacity, but not into the capacity that Azure gave."""
        need, limit = asked.tokens, self.pacer.limits.tokens_at_once
        if need > limit:
            raise CapacityTooSmall(
                f"it needs about {need:,} tokens at once, and Azure gave the deployment {limit:,} a minute, "
                "less than sku.capacity asks for: it waits until Azure gives more"
            )


class Job:
    """The requests for one document. `document`: with the cost of all of them so far."""

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
        self.document = document
        self._model = ""
        self._prompt_tokens = self._completion_tokens = 0
        self.refused: Question | None = None
        """The request to which the model did not answer."""
        self._line = line
        self._claims = claims
        self._last_start = last_start
        self._sent = sent
        self._kept = kept
        self._text = text
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._over = False

    async def answer(self, asked: Question) -> Any:
        """Return the value of the model's answer, repaired once if it has not the required form.

        Raises AnswerUnusable, DocumentRefused, HandedBack, RequestRefused, another ModelError, StorageError.
        """
        found = await self._kept.find(asked) if self._kept else None
        if found is not None:
            self.document = found.charged(self.document)
            self._count(found.answer)
            return accept(found.answer, asked.request)
        answer, value = await self._repaired(asked, await self.ask(asked))
        answer, value = await self._quoted(asked, answer, value)
        if self._kept is not None:
            await self._kept.keep(asked, answer, self.document)
        return value

    async def ask(self, asked: Question) -> ModelAnswer:
        """Return the model's answer. Raises HandedBack, RequestRefused, another ModelError."""
        try:
            answer = await self._line.ask(self, asked, self._last_start, self._sent)
        except ModelError:
            self.refused = asked
            raise
        self._count(answer)
        return answer

    @property
    def whole_answer(self) -> ModelAnswer:
        """Return model and tokens of all answers, without their texts."""
        return ModelAnswer("", "stop", self._model, self._prompt_tokens, self._completion_tokens)

    def _count(self, answer: ModelAnswer) -> None:
        self._model = answer.model
        self._prompt_tokens += answer.prompt_tokens
        self._completion_tokens += answer.completion_tokens

    async def _repaired(self, asked: Question, answer: ModelAnswer) -> tuple[ModelAnswer, Any]:
        try:
            return answer, accept(answer, asked.request)
        except AnswerUnusable as unusable:
            again = repair(asked, answer, unusable)
            if again is None or not self.affords(again):
                raise
            with contextlib.suppress(HandedBack, ModelError):  # the first answer counts as an attempt then
                repaired = await self.ask(again)
                return repaired, accept(repaired, asked.request)
            raise

    async def _quoted(self, asked: Question, answer: ModelAnswer, value: Any) -> tuple[ModelAnswer, Any]:
        """Ask once more if a quote is not in the document. Raises DocumentRefused if one still is not."""
        if not (wrong := self._wrong_quotes(value)):
            return answer, value
        again = quote_again(asked, answer, wrong)
        if self.affords(again):
            answer, value = await self._repaired(again, await self.ask(again))
            wrong = self._wrong_quotes(value)
        if wrong:
            raise DocumentRefused(
                f"{len(wrong)} quote(s) of its answer do not stand in it (at {', '.join(wrong[:5])})"
            )
        return answer, value

    def _wrong_quotes(self, value: Any) -> list[str]:
        task = self._line.config.task
        return missing(check(value, task.quotes, self._text)) if self._text and task.require_quotes else []

    async def each(self, work: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
        """Do all of it, some at a time. If one fails, those in progress end before the error is raised."""
        self._over = False
        outcomes = await asyncio.gather(*map(self._one, work), return_exceptions=True)
        errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if errors:
            raise min(errors, key=_gravity)
        return [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]

    async def _one(self, work: Callable[[], Awaitable[T]]) -> T:
        async with self._slots:
            if self._over:
                raise HandedBack("another request of the document has failed")
            try:
                return await work()
            except BaseException:
                self._over = True
                raise

    def affords(self, asked: Question) -> bool:
        """Return whether the document's cap admits one more request."""
        cap = self._line.config.task.max_cost_per_document
        tokens = asked.prompt_tokens, asked.request.max_output_tokens
        return cap is None or self._claims.charged(self.document, *tokens).cost <= cap

    def charge(self, prompt_tokens: int, completion_tokens: int) -> None:
        """Add tokens and their cost to the document; they are saved with its next change."""
        self.document = self._claims.charged(self.document, prompt_tokens, completion_tokens)


def _gravity(error: BaseException) -> int:
    """Return the place of an error among several of one document: the first one decides on it."""
    kinds = (DocumentRefused, RequestRefused, AnswerUnusable, ModelError, StorageError, HandedBack)
    return next((place for place, kind in enumerate(kinds) if isinstance(error, kind)), -1)
