"""Decide whether to retry after an error of the model, and return that decision.

By Azure's documentation a retry makes sense after 408, 409, 429, 500, 502, 503 and lost connections, and
after 404 DeploymentNotFound only while the deployment warms up; never after a content filter, an exceeded
context length, 401 or 403.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from shared.errors import DeploymentNotFound, ModelError, ModelUnavailable, RateLimited
from shared.ports import Clock

T = TypeVar("T")

MAX_TRIES = 20
"""The last limit; normally the deadline ends retries."""
_FIRST_PAUSE, _LAST_PAUSE = 1.0, 30.0
_LONGEST_NAMED_PAUSE = 600.0


@dataclass(frozen=True)
class Again:
    """A retry after a pause in seconds; with `everybody` the whole deployment pauses."""

    after: float
    everybody: bool


def judge(error: BaseException, tries: int, *, warming_up: bool, spread: float) -> Again | None:
    """Decide what to do after `tries` tries in a row ended in `error`; None: no retry will help.

    A pause that the server gives (seconds) is observed; otherwise it is 1 s, doubling, 30 s at most, of which
    `spread` in [0, 1) selects between a half and the whole.
    """
    pause = min(_LAST_PAUSE, _FIRST_PAUSE * (1 << min(tries - 1, 10))) * (0.5 + spread / 2)
    if isinstance(error, ModelError) and error.retry_after is not None:
        pause = min(max(error.retry_after, 0.0), _LONGEST_NAMED_PAUSE)
    match error:
        case RateLimited():
            return Again(pause, everybody=True)
        case ModelUnavailable():
            return Again(pause, everybody=False)
        case DeploymentNotFound() if warming_up:
            return Again(pause, everybody=True)
        case _:
            return None


async def with_retry(
    ask: Callable[[], Awaitable[T]],
    clock: Clock,
    *,
    until: float,
    warming_up: bool,
    pause_everybody: Callable[[float], None],
    tries: int = MAX_TRIES,
) -> T:
    """Send a request until it is answered, no retry can help, or the next would be after monotonic `until`.

    Raises the last error. `pause_everybody` receives the seconds for which no request may be sent. `tries`:
    after so many the service counts as unavailable.
    """

    def again(error: BaseException) -> bool:
        return judge(error, 1, warming_up=warming_up, spread=0.0) is not None

    def pause(state: RetryCallState) -> float:
        assert state.outcome is not None
        error = state.outcome.exception()
        assert error is not None
        verdict = judge(error, state.attempt_number, warming_up=warming_up, spread=random.random())  # noqa: S311
        assert verdict is not None
        if verdict.everybody:
            pause_everybody(verdict.after)
        return verdict.after

    def out_of_time(state: RetryCallState) -> bool:
        unavailable = state.outcome is not None and isinstance(state.outcome.exception(), ModelUnavailable)
        most = tries if unavailable else MAX_TRIES
        return clock.monotonic() + state.upcoming_sleep > until or state.attempt_number >= most

    # Most requests are answered at once: only the others pay for the bookkeeping of retries.
    first: Exception | None = None
    try:
        return await ask()
    except Exception as error:
        first = error

    async def ask_again() -> T:
        nonlocal first
        if first is not None:
            error, first = first, None
            raise error
        return await ask()

    retrying = AsyncRetrying(
        retry=retry_if_exception(again), wait=pause, stop=out_of_time, sleep=clock.sleep, reraise=True
    )
    return await retrying(ask_again)
