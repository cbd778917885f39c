"""Send the requests of one slice to its deployment: each is paced, fenced, retried and charged."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Protocol, TypeVar

from shared.documents.ask import BatchQuestion, Question
from shared.documents.blame import Witness
from shared.documents.drain_tools import DrainTools
from shared.documents.pacer import Pacer
from shared.documents.retry import MAX_TRIES, with_retry
from shared.errors import ModelUnavailable, RateLimited
from shared.hosting.leases import WorkLease
from shared.model import DeploymentConfig, DeploymentRecord, ModelAnswer, Response

A = TypeVar("A", ModelAnswer, Response)

WARM_UP = timedelta(minutes=5)
"""How long after its first answer a deployment may still answer some requests with 404."""
LONGEST_PAUSE = 60.0
"""Seconds: no rate limit has a longer window, whatever a header claims."""


class HandedBack(Exception):
    """The slice ends or the deployment closes: the document waits again, without an attempt counted."""


class CapacityTooSmall(HandedBack):
    """Azure gave the deployment less than the configured capacity, which the document needs."""


class Asking(Protocol):
    """What sends requests about one document, and has them charged to it."""

    @property
    def document_id(self) -> str: ...

    def charge(self, prompt_tokens: int, completion_tokens: int) -> None: ...


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
        self.currency = tools.prices.currency
        self.config = config
        self._endpoint = endpoint
        self._opened_at = record.generation.opened_at
        self.work = work
        self.witness = witness
        self.pacer: Pacer = tools.pacer(config, record.generation)

    async def ask(
        self,
        job: Asking,
        asked: Question,
        last_start: float,
        sent: Callable[[], None],
        tries: int = MAX_TRIES,
    ) -> ModelAnswer:
        """Return the answer to a request that starts before monotonic `last_start`.

        `sent`: called when the request is admitted. `tries`: see `with_retry`. Raises HandedBack,
        RequestRefused, another ModelError.
        """

        async def send(timeout: float) -> ModelAnswer:
            model = self._tools.model
            return await model.ask(self._endpoint, self.config.name, asked.request, timeout=timeout)

        size = asked.prompt_tokens, asked.request.max_output_tokens
        return await self._in_turn(job, size, last_start, sent, tries, send)

    async def complete(
        self, job: Asking, asked: BatchQuestion, last_start: float, sent: Callable[[], None], tries: int
    ) -> Response:
        """Return the response to a request of a Batch file. Otherwise like `ask`."""

        async def send(timeout: float) -> Response:
            model = self._tools.model
            return await model.complete(self._endpoint, self.config.name, asked.request, timeout=timeout)

        size = asked.prompt_tokens, asked.request.max_output_tokens
        return await self._in_turn(job, size, last_start, sent, tries, send)

    async def _in_turn(
        self,
        job: Asking,
        size: tuple[int, int],
        last_start: float,
        sent: Callable[[], None],
        tries: int,
        send: Callable[[float], Awaitable[A]],
    ) -> A:
        """Send a request when its turn comes, and charge it. `size`: its tokens, and those of the answer."""
        refusal: RateLimited | None = None
        tools, seconds = self._tools, self._tools.timing.request_seconds
        prompt_tokens, max_output_tokens = size

        async def ask() -> A:
            nonlocal refusal
            tokens = self.pacer.estimate(prompt_tokens, max_output_tokens)
            tokens = min(tokens, self.pacer.limits.tokens_at_once)
            sent_at = await self.pacer.admit(tokens, last_start)
            if sent_at is None:
                raise refusal or HandedBack("it waits for the deployment's rate limit")
            sent()
            # Await nothing between this check and the request: see Note: the fence in docs/design.md.
            if not self.work.allows(seconds):
                raise HandedBack("the deployment is closing, or the slice has ended")
            self.witness.saw_question(job.document_id)
            try:
                return await send(seconds)
            except ModelUnavailable as error:
                if error.code == "timeout":  # Azure may charge for it
                    job.charge(prompt_tokens, max_output_tokens)
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
            tries=tries,
        )
        self.pacer.learn(prompt_tokens, answer)
        self.witness.saw_answer()
        job.charge(answer.prompt_tokens, answer.completion_tokens)
        return answer

    def refuse_beyond_capacity(self, need: int) -> None:
        """Raise CapacityTooSmall for tokens that fit into sku.capacity, but not into what Azure gave."""
        limit = self.pacer.limits.tokens_at_once
        if need > limit:
            raise CapacityTooSmall(
                f"it needs about {need:,} tokens at once, and Azure gave the deployment {limit:,} a minute, "
                "less than sku.capacity asks for: it waits until Azure gives more"
            )
