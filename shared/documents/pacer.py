"""Pace the requests to a deployment within its own limits, with one pacer per deployment.

Azure charges prompt + max output tokens on arrival against tokens per minute, checks requests per minute
over windows of 1 s or 10 s too, and counts requests that fail.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque

from shared.ports import Clock

_REQUEST_WINDOWS = (60.0, 10.0, 1.0)
_MINUTE = 60.0


class Pacer:
    """Admit requests in the order of their arrival. The limits are tokens and requests per minute."""

    def __init__(self, clock: Clock, tokens_per_minute: int, requests_per_minute: int) -> None:
        self._clock = clock
        self.tokens_per_minute = tokens_per_minute
        self._requests_per_minute = requests_per_minute
        self._sent: deque[tuple[float, int]] = deque()  # (monotonic time, tokens), the last minute
        self._others: tuple[float, int] = (-math.inf, 0)  # tokens that callers elsewhere used, and when seen
        self._paused_until = -math.inf
        self._turn = asyncio.Lock()
        self._tokens_per_estimate = 1.0

    def estimate(self, text_tokens: int, max_output_tokens: int) -> int:
        """Estimate the tokens that a request will be charged, corrected by the usage of earlier answers."""
        return math.ceil(text_tokens * self._tokens_per_estimate) + max_output_tokens

    async def admit(self, tokens: int, until: float) -> bool:
        """Wait until `tokens` may be sent, and count them; False if that would be after monotonic `until`."""
        async with self._turn:
            while True:
                now = self._clock.monotonic()
                pause = self.pause_needed(now, tokens)
                if now + pause > until:
                    return False
                if pause <= 0:
                    self._sent.append((now, tokens))
                    return True
                await self._clock.sleep(pause)

    def pause_needed(self, now: float, tokens: int) -> float:
        """Return the seconds until `tokens` may be sent; infinite if they exceed the limit per minute."""
        if tokens > self.tokens_per_minute:
            return math.inf
        while self._sent and self._sent[0][0] <= now - _MINUTE:
            self._sent.popleft()
        ready_at = max(now, self._paused_until)
        for window in _REQUEST_WINDOWS:
            allowed = max(1, math.floor(self._requests_per_minute * window / _MINUTE))
            if len(self._sent) >= allowed:
                ready_at = max(ready_at, self._sent[-allowed][0] + window)
        charges = sorted([*self._sent, self._others]) if self._others[0] > now - _MINUTE else [*self._sent]
        excess = sum(charge for _, charge in charges) + tokens - self.tokens_per_minute
        for at, charge in charges:
            if excess <= 0:
                break
            excess -= charge
            ready_at = max(ready_at, at + _MINUTE)
        return ready_at - now

    def pause(self, seconds: float) -> None:
        """Admit no request for this many seconds, which the server requested."""
        self._paused_until = max(self._paused_until, self._clock.monotonic() + seconds)

    def learn(self, estimated_text_tokens: int, prompt_tokens: int, remaining_tokens: int | None) -> None:
        """Correct the estimates by an answer's usage, and the count by the server's, if plausible."""
        if estimated_text_tokens > 0 and prompt_tokens > 0:
            ratio = min(max(prompt_tokens / estimated_text_tokens, 0.2), 3.0)
            self._tokens_per_estimate += 0.2 * (ratio - self._tokens_per_estimate)
        if remaining_tokens is not None and 0 <= remaining_tokens <= self.tokens_per_minute:
            now = self._clock.monotonic()
            ours = sum(charge for at, charge in self._sent if at > now - _MINUTE)
            self._others = (now, max(0, self.tokens_per_minute - remaining_tokens - ours))
