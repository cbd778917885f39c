"""Pace the requests to a deployment within its own limits, with one pacer per deployment.

Azure charges prompt + max output tokens on arrival against tokens per minute, checks requests per minute
over windows of 1 s or 10 s too, and counts requests that fail.

Note [Windows]: a limit holds over its renewal period, and for requests also over a sixth of it, as Azure
documents 10 s. Shorter windows are observed only after refusals that no longer window explains, because
a window that the server does not have costs throughput. Our windows are a little longer than the server's,
because requests overtake each other on their way.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass

from shared.documents.rate_windows import Meter
from shared.model import ModelAnswer, Response
from shared.ports import Clock

_FIRST_MARGIN, _LAST_MARGIN = 0.003, 0.024  # of a window
_FULL = 0.9  # a refusal at a lower use than this has another cause than margins: the limit itself is lower
_IDLE = 0.25  # a refusal at a lower use than this says nothing about the pace
_LEAST_SHARE, _MOST_LOST = 0.05, 0.5
_LEAST_FACTOR, _MOST_FACTOR = 0.1, 10.0  # by which headers alone may change a limit
_RECOVERY = 0.1  # of the limit, for each renewal period without a refusal


@dataclass(frozen=True)
class Limits:
    """Tokens and requests per minute, and the seconds over which the server counts each."""

    tokens_per_minute: int
    requests_per_minute: int
    token_renewal: float = 60.0
    request_renewal: float = 60.0

    @property
    def tokens_at_once(self) -> int:
        """Return the most tokens that a request may have."""
        return max(1, int(self.tokens_per_minute * self.token_renewal / 60))


class Pacer:
    """Admit requests in the order of their arrival."""

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self._clock = clock
        self._limits = limits
        self._tokens = Meter(burst=1 / 6, observed=1)
        self._requests = Meter(burst=1 / 60, observed=2)
        self._shown = {"tokens": _Shown(), "requests": _Shown()}
        self._margin = _FIRST_MARGIN
        self._share = 1.0  # of the limits; less after refusals that windows do not explain
        self._refused_at = self._raised_at = self._paused_until = -math.inf
        self._turn = asyncio.Lock()
        self._waiting = 0  # tokens
        self._tokens_per_estimate = 1.0
        self._resize()

    @property
    def limits(self) -> Limits:
        """Return the limits that the deployment's provider shows."""
        return self._limits

    def follow(self, limits: Limits) -> None:
        """Apply changed limits. What was sent stays counted."""
        if limits != self._limits:
            self._limits = limits
            self._shown = {key: _Shown() for key in self._shown}
            self._resize()

    def estimate(self, text_tokens: int, max_output_tokens: int) -> int:
        """Estimate the tokens that a request will be charged, corrected by the usage of earlier answers."""
        return math.ceil(text_tokens * self._tokens_per_estimate) + max_output_tokens

    async def admit(self, tokens: int, until: float) -> float | None:
        """Wait until `tokens` may be sent, count them, and return the monotonic time.

        None: that would be after monotonic `until`.
        """
        self._waiting += tokens
        try:
            async with self._turn:
                while True:
                    now = self._clock.monotonic()
                    pause = self.pause_needed(now, tokens, self._waiting)
                    if now + pause > until:
                        return None
                    if pause <= 0:
                        self._tokens.charge(now, tokens)
                        self._requests.charge(now, 1)
                        return now
                    await self._clock.sleep(pause)
        finally:
            self._waiting -= tokens

    def pause_needed(self, now: float, tokens: int, waiting: int = 0) -> float:
        """Return the seconds until `tokens` may be sent; infinite if they exceed the limit.

        `waiting`: the tokens of all that wait. They are spread over time if they do not fit now.
        """
        if tokens > self._limits.tokens_at_once:
            return math.inf
        if self._share < 1.0 and now - max(self._refused_at, self._raised_at) >= self._tokens.renewal:
            self._share, self._raised_at = min(1.0, self._share + _RECOVERY), now
            self._resize()
        return max(
            self._paused_until - now,
            self._tokens.ready_at(now, tokens, spread=waiting > self._tokens.left(now)) - now,
            self._requests.ready_at(now, 1, spread=True) - now,
        )

    def pause(self, seconds: float) -> None:
        """Admit no request for this many seconds, which the server requested."""
        self._paused_until = max(self._paused_until, self._clock.monotonic() + seconds)

    def refused(self, sent_at: float, tokens: int) -> None:
        """Learn from a 429 for a request that was admitted at monotonic `sent_at`. Its tokens are free.

        Requests that were on their way together teach once.
        """
        self._tokens.forget(sent_at, tokens)
        if sent_at <= self._refused_at:
            return
        self._refused_at = now = self._clock.monotonic()
        use = max(self._tokens.use(now), self._requests.use(now))
        if use >= _FULL and self._margin < _LAST_MARGIN:
            self._margin *= 2
        elif self._tokens.observe_shorter(now) | self._requests.observe_shorter(now):
            self._margin = _FIRST_MARGIN
        elif use >= _IDLE:  # the limit was lowered, others use it, or demand is high
            self._share = max(_LEAST_SHARE, self._share * min(max(use, _MOST_LOST), _FULL))
        self._resize()

    def learn(self, estimated_text_tokens: int, answer: ModelAnswer | Response) -> None:
        """Correct the estimates by an answer's usage, and the limits and counts by its headers."""
        if estimated_text_tokens > 0 and answer.prompt_tokens > 0:
            ratio = min(max(answer.prompt_tokens / estimated_text_tokens, 0.2), 3.0)
            self._tokens_per_estimate += 0.2 * (ratio - self._tokens_per_estimate)
        followed = self._shown["tokens"].follow(answer.limit_tokens)
        if self._shown["requests"].follow(answer.limit_requests) or followed:
            self._resize()
        if answer.remaining_tokens is not None:
            self._tokens.count_others(self._clock.monotonic(), answer.remaining_tokens)

    def _resize(self) -> None:
        limits, shown = self._limits, self._shown
        tokens = limits.tokens_per_minute * self._share * shown["tokens"].factor
        requests = limits.requests_per_minute * self._share * shown["requests"].factor
        self._tokens.resize(tokens, limits.token_renewal, self._margin)
        self._requests.resize(requests, limits.request_renewal, self._margin)


class _Shown:
    """A limit in the server's headers. Its unit is uncertain, so that only its changes are followed.

    A change counts once two answers in a row show it.
    """

    def __init__(self) -> None:
        self.factor = 1.0
        self._first = self._last = 0

    def follow(self, limit: int | None) -> bool:
        """Return whether the limit has changed."""
        if not limit or limit < 0:
            return False
        self._first = self._first or limit
        before, self._last = self._last, limit
        factor = min(max(limit / self._first, _LEAST_FACTOR), _MOST_FACTOR)
        if before != limit or factor == self.factor:
            return False
        self.factor = factor
        return True
