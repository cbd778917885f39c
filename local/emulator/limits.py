"""Rate limits as pure state: every method takes `now`, and none waits."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

from local.emulator.options import LimitRules

_NEVER_SECONDS = 86_400  # Retry-After in public reports for a request that is larger than the limit


class Window(Protocol):
    """A counter over a length of time. Times are in seconds."""

    allowance: int

    def remaining(self, now: datetime) -> int:
        """Return what may still be charged."""
        ...

    def resets_in(self, now: datetime) -> float:
        """Return the time until nothing is charged any more; 0 if nothing is now."""
        ...

    def fits_in(self, amount: int, now: datetime) -> float:
        """Return the time until `amount` fits; 0 if it does now.

        An amount above the allowance fits as soon as nothing else is charged.
        """
        ...

    def charge(self, amount: int, now: datetime) -> None: ...


class FixedWindow:
    """A counter that is reset `seconds` after its first charge."""

    def __init__(self, seconds: float, allowance: int) -> None:
        self._length = timedelta(seconds=seconds)
        self.allowance = allowance
        self._used = 0
        self._resets: datetime | None = None

    def remaining(self, now: datetime) -> int:
        self._roll(now)
        return max(0, self.allowance - self._used)

    def resets_in(self, now: datetime) -> float:
        self._roll(now)
        return 0.0 if self._resets is None else (self._resets - now).total_seconds()

    def fits_in(self, amount: int, now: datetime) -> float:
        fits = amount <= self.remaining(now) or self._used == 0
        return 0.0 if fits else self.resets_in(now)

    def charge(self, amount: int, now: datetime) -> None:
        self._roll(now)
        if self._resets is None:
            self._resets = now + self._length
        self._used += amount

    def _roll(self, now: datetime) -> None:
        if self._resets is not None and now >= self._resets:
            self._resets = None
            self._used = 0


class SlidingWindow:
    """A counter of the charges of the last `seconds`."""

    def __init__(self, seconds: float, allowance: int) -> None:
        self._length = timedelta(seconds=seconds)
        self.allowance = allowance
        self._used = 0
        self._charges: deque[tuple[datetime, int]] = deque()

    def remaining(self, now: datetime) -> int:
        self._roll(now)
        return max(0, self.allowance - self._used)

    def resets_in(self, now: datetime) -> float:
        self._roll(now)
        return self._until_expired(self._charges[-1], now) if self._charges else 0.0

    def fits_in(self, amount: int, now: datetime) -> float:
        self._roll(now)
        excess, seconds = self._used + amount - self.allowance, 0.0
        for charge in self._charges:
            if excess <= 0:
                break
            excess -= charge[1]
            seconds = self._until_expired(charge, now)
        return seconds

    def charge(self, amount: int, now: datetime) -> None:
        self._roll(now)
        if amount:
            self._charges.append((now, amount))
            self._used += amount

    def _until_expired(self, charge: tuple[datetime, int], now: datetime) -> float:
        return (charge[0] + self._length - now).total_seconds()

    def _roll(self, now: datetime) -> None:
        while self._charges and now >= self._charges[0][0] + self._length:
            self._used -= self._charges.popleft()[1]


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
    """The limits of one deployment: tokens and requests per minute.

    Each holds over a minute and, with the share of the minute's limit, over the shorter window that the rules
    name. Azure documents windows of 1 or 10 s for requests, and that a request counts even if it is refused;
    the tokens of a refused request do not.
    """

    def __init__(self, tokens_per_minute: int, requests_per_minute: int, rules: LimitRules) -> None:
        self._rules = rules
        self._token_windows = (60, *{rules.token_window} - {60})
        self._request_windows = (60, *{rules.request_window} - {60})
        self._tokens = [self._window(seconds) for seconds in self._token_windows]
        self._requests = [self._window(seconds) for seconds in self._request_windows]
        self.resize(tokens_per_minute, requests_per_minute)

    def resize(self, tokens_per_minute: int, requests_per_minute: int) -> None:
        """Change the limits. What was charged stays charged."""
        for window, seconds in zip(self._tokens, self._token_windows, strict=True):
            window.allowance = max(1, tokens_per_minute * seconds // 60)
        for window, seconds in zip(self._requests, self._request_windows, strict=True):
            window.allowance = max(1, requests_per_minute * seconds // 60)

    def admit(self, tokens: int, now: datetime) -> Verdict:
        """Charge a request of an estimated number of tokens, or refuse it."""
        requests_fit = max(window.fits_in(1, now) for window in self._requests)
        tokens_fit = max(window.fits_in(tokens, now) for window in self._tokens)
        too_large = tokens > self._tokens[0].allowance
        passes = not (too_large or requests_fit or tokens_fit)
        if passes or self._rules.refused == "counted":
            for window in self._requests:
                window.charge(1, now)
        if too_large:
            return self._verdict("token", _NEVER_SECONDS, now)
        if requests_fit:
            return self._verdict("call", requests_fit, now)
        if tokens_fit:
            return self._verdict("token", tokens_fit, now)
        for window in self._tokens:
            window.charge(tokens, now)
        return self._verdict(None, 0.0, now)

    def _window(self, seconds: int) -> Window:
        kind = FixedWindow if self._rules.window == "fixed" else SlidingWindow
        return kind(seconds * self._rules.minute_seconds / 60, 1)

    def _verdict(
        self, exceeded: Literal["token", "call"] | None, retry_after: float, now: datetime
    ) -> Verdict:
        requests, tokens = _tightest(self._requests, now), _tightest(self._tokens, now)
        return Verdict(
            exceeded,
            retry_after,
            limit_requests=self._requests[0].allowance,
            remaining_requests=requests.remaining(now),
            reset_requests=requests.resets_in(now),
            limit_tokens=self._tokens[0].allowance,
            remaining_tokens=tokens.remaining(now),
            reset_tokens=tokens.resets_in(now),
        )


def _tightest(windows: Sequence[Window], now: datetime) -> Window:
    return min(windows, key=lambda window: window.remaining(now))
