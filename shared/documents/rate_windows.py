"""Count what was sent against one rate limit, over windows of several lengths."""

from __future__ import annotations

import contextlib
import math
from collections import deque

_SHARES = (1.0, 1 / 6, 1 / 60)  # of the renewal period
_SPREAD = 1.1  # the steady rate as a multiple of the limit's, so that the windows decide in the long run
_UNEVEN = 0.01  # seconds by which requests may overtake each other on their way
_NOTHING = (-math.inf, 0)


class Meter:
    """What was sent to a deployment, in tokens or requests. Times are monotonic seconds."""

    def __init__(self, *, burst: float, observed: int) -> None:
        """`burst`: how much may go out at once, as a share of the limit. `observed`: how many windows."""
        self.renewal = 60.0
        self._windows = [_Window() for _ in _SHARES]
        self._observed = observed
        self._burst = burst
        self._per_second = 1.0
        self._due_at = -math.inf  # when everything sent so far would be due at the steady rate
        self._shown = len(_SHARES) - 1  # the window of which the server says what remains
        self._others = _NOTHING  # when callers elsewhere were last seen to use the limit, and how much

    def resize(self, per_minute: float, renewal: float, margin: float) -> None:
        """Set the limit, and the seconds over which the server counts it.

        `margin`: by which share our windows exceed the server's.
        """
        self.renewal = renewal
        self._per_second = max(per_minute, 0.01) / 60
        for window, share in zip(self._windows, _SHARES, strict=True):
            window.seconds = renewal * share * (1 + margin) + _UNEVEN
            window.allowance = max(1, math.floor(self._per_second * renewal * share + 1e-9))

    def ready_at(self, now: float, amount: int, *, spread: bool) -> float:
        """Return when `amount` may be sent: as soon as it fits, or at the steady rate with `spread`."""
        at = max(now, self._due_at - self._burst * self.renewal) if spread else now
        for window in self._windows[: self._observed]:
            others = self._others if window is self._windows[0] else _NOTHING
            at = max(at, window.ready_at(now, amount, others))
        return at

    def charge(self, now: float, amount: int) -> None:
        """Count what is sent now."""
        self._due_at = max(self._due_at, now) + amount / (_SPREAD * self._per_second)
        for window in self._windows:
            window.charge(now, amount)

    def forget(self, sent_at: float, amount: int) -> None:
        """Count no longer what was sent at that time, because the server does not."""
        for window in self._windows:
            window.forget(sent_at, amount)

    def left(self, now: float) -> int:
        """Return how much of the limit is left now."""
        return self._windows[0].allowance - self._windows[0].used(now)

    def use(self, now: float) -> float:
        """Return the largest share of an observed window's allowance that is used."""
        return max(window.used(now) / window.allowance for window in self._windows[: self._observed])

    def observe_shorter(self, now: float) -> bool:
        """Observe the next shorter window from now on if it is full. Return whether it is."""
        if self._observed == len(self._windows):
            return False
        window = self._windows[self._observed]
        if window.used(now) < window.allowance:
            return False
        self._observed += 1
        return True

    def count_others(self, now: float, remaining: int) -> None:
        """Count what callers elsewhere have used, from what the server says remains, if that is plausible.

        A server may show what remains of a shorter window: never more than that window allows.
        """
        if not 0 <= remaining <= self._windows[0].allowance:
            return
        while remaining > self._windows[self._shown].allowance:
            self._shown -= 1
        window = self._windows[self._shown]
        self._others = (now, max(0, window.allowance - remaining - window.used(now)))


class _Window:
    """What was sent in the last `seconds`."""

    def __init__(self) -> None:
        self.seconds = 60.0
        self.allowance = 1
        self._charges: deque[tuple[float, int]] = deque()
        self._sum = 0

    def ready_at(self, now: float, amount: int, others: tuple[float, int]) -> float:
        """Return when `amount` fits. More than the allowance fits as soon as nothing else is counted."""
        self._forget(now)
        charges = self._charges
        excess, ready_at = self._sum + amount - self.allowance, now
        if others[0] > now - self.seconds and others[1]:
            excess += others[1]
            charges = deque(sorted([*charges, others])) if excess > 0 else charges
        for at, charge in charges:
            if excess <= 0:
                break
            excess -= charge
            ready_at = at + self.seconds
        return ready_at

    def charge(self, now: float, amount: int) -> None:
        self._forget(now)  # windows that are not observed are read by nobody
        self._charges.append((now, amount))
        self._sum += amount

    def forget(self, sent_at: float, amount: int) -> None:
        with contextlib.suppress(ValueError):  # it is older than the window
            self._charges.remove((sent_at, amount))
            self._sum -= amount

    def used(self, now: float) -> int:
        """Return what is counted now."""
        self._forget(now)
        return self._sum

    def _forget(self, now: float) -> None:
        while self._charges and self._charges[0][0] <= now - self.seconds:
            self._sum -= self._charges.popleft()[1]
