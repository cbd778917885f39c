"""Rate limits as pure state: every method takes `now`, and none waits."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

_NEVER_SECONDS = 86_400  # Retry-After in public reports for a request that is larger than the limit


class Window:
    """A counter that is reset `seconds` after its first charge."""

    def __init__(self, seconds: int, allowance: int) -> None:
        self._length = timedelta(seconds=seconds)
        self.allowance = allowance
        self._used = 0
        self._resets: datetime | None = None

    def remaining(self, now: datetime) -> int:
        self._roll(now)
        return max(0, self.allowance - self._used)

    def resets_in(self, now: datetime) -> float:
        """Return the seconds until the counter is reset; 0 if it is at zero."""
        self._roll(now)
        return 0.0 if self._resets is None else (self._resets - now).total_seconds()

    def charge(self, amount: int, now: datetime) -> None:
        self._roll(now)
        if self._resets is None:
            self._resets = now + self._length
        self._used += amount

    def _roll(self, now: datetime) -> None:
        if self._resets is not None and now >= self._resets:
            self._resets = None
            self._used = 0


@dataclass(frozen=True)
class Verdict:
    """The limiter's decision on one request; `exceeded` is None if it may pass. Times are in seconds."""

    exceeded: Literal["token", "call"] | None
    retry_after: float
    limit_requests: int
    remaining_requests: int
    reset_requests: float
    limit_tokens: int
    remaining_tokens: int
    reset_tokens: float


class DeploymentLimits:
    """The limits of one deployment, tokens and requests per minute, as Azure documents them.

    Tokens are counted over a minute. Requests are counted over a minute and over `request_window` seconds
    (Azure: 1 or 10), with the share of the minute's limit. Every request counts, even one that is refused;
    its tokens then do not.
    """

    def __init__(self, tokens_per_minute: int, requests_per_minute: int, request_window: int) -> None:
        self._tokens = Window(60, tokens_per_minute)
        share = max(1, requests_per_minute * request_window // 60)
        self._requests = (Window(request_window, share), Window(60, requests_per_minute))

    def admit(self, tokens: int, now: datetime) -> Verdict:
        """Charge a request of an estimated number of tokens, or refuse it."""
        full = [window for window in self._requests if window.remaining(now) == 0]
        for window in self._requests:
            window.charge(1, now)
        if tokens > self._tokens.allowance:
            return self._verdict("token", _NEVER_SECONDS, now)
        if full:
            return self._verdict("call", max(window.resets_in(now) for window in full), now)
        if tokens > self._tokens.remaining(now):
            return self._verdict("token", self._tokens.resets_in(now), now)
        self._tokens.charge(tokens, now)
        return self._verdict(None, 0.0, now)

    def _verdict(
        self, exceeded: Literal["token", "call"] | None, retry_after: float, now: datetime
    ) -> Verdict:
        tightest = min(self._requests, key=lambda window: window.remaining(now))
        return Verdict(
            exceeded,
            retry_after,
            limit_requests=self._requests[-1].allowance,
            remaining_requests=tightest.remaining(now),
            reset_requests=tightest.resets_in(now),
            limit_tokens=self._tokens.allowance,
            remaining_tokens=self._tokens.remaining(now),
            reset_tokens=self._tokens.resets_in(now),
        )


class TokenBucket:
    """The throttle of Azure Resource Manager: a bucket of `size` calls, refilled by `per_second`."""

    def __init__(self, size: int, per_second: float) -> None:
        self._size = size
        self._per_second = per_second
        self._level = float(size)
        self._filled: datetime | None = None

    def take(self, now: datetime) -> int:
        """Take one call; return 0, or the whole seconds to wait if the bucket is empty."""
        if self._filled is not None:
            gained = (now - self._filled).total_seconds() * self._per_second
            self._level = min(self._size, self._level + gained)
        self._filled = now
        if self._level < 1:
            return math.ceil((1 - self._level) / self._per_second)
        self._level -= 1
        return 0

    @property
    def remaining(self) -> int:
        return int(self._level)
