"""Retry: what an error means, and when the next try comes, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from shared.documents.retry import MAX_TRIES, Again, judge, with_retry
from shared.errors import (
    AccessDenied,
    DeploymentNotFound,
    DocumentRefused,
    LamplighterError,
    ModelError,
    ModelUnavailable,
    RateLimited,
    RequestRefused,
    StorageError,
)
from shared.model import ModelAnswer
from tests.fakes.clock import VirtualClock

ANSWER = ModelAnswer("yes", "stop", "gpt-4.1-mini", 10, 1)


# --- the verdict -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "warming_up", "verdict"),
    [
        (RateLimited("429", retry_after=7.5), False, Again(7.5, everybody=True)),
        (RateLimited("429", retry_after=0), False, Again(0, everybody=True)),
        (RateLimited("429"), False, Again(1.0, everybody=True)),
        (ModelUnavailable("503"), False, Again(1.0, everybody=False)),
        (ModelUnavailable("503", retry_after=3), True, Again(3, everybody=False)),
        (DeploymentNotFound("404"), True, Again(1.0, everybody=True)),
        (DeploymentNotFound("404"), False, None),
        (RequestRefused("content_filter"), True, None),
        (RequestRefused("context_length_exceeded", retry_after=1), True, None),
        (AccessDenied("403"), True, None),
        (ModelError("something new"), True, None),
        (StorageError("not the model's"), True, None),
        (DocumentRefused("not the model's"), True, None),
        (asyncio.CancelledError(), True, None),
    ],
)
def test_every_error_has_its_verdict(error: BaseException, warming_up: bool, verdict: Again | None) -> None:
    """Limits hold everybody, outages one request; a 404 is worth a try only while warming up."""
    assert judge(error, 1, warming_up=warming_up, spread=1.0) == verdict


def test_pauses_double_up_to_thirty_seconds() -> None:
    """1 s, 2, 4 … and 30 from the sixth try on; the spread leaves between a half and the whole of it."""

    def pauses(spread: float) -> list[float]:
        verdicts = [judge(ModelUnavailable(""), n, warming_up=False, spread=spread) for n in range(1, 21)]
        return [verdict.after for verdict in verdicts if verdict]

    assert pauses(1.0) == [1, 2, 4, 8, 16] + [30] * 15
    assert pauses(0.0) == [0.5, 1, 2, 4, 8] + [15] * 15


@pytest.mark.parametrize(("named", "kept"), [(0.25, 0.25), (120, 120), (-3, 0), (10**9, 600)])
def test_a_pause_that_the_server_names_is_kept_within_reason(named: float, kept: float) -> None:
    """It is neither spread nor doubled; a negative one is none, and one of years is ten minutes."""
    verdict = judge(RateLimited("", retry_after=named), 9, warming_up=False, spread=0.3)
    assert verdict == Again(kept, everybody=True)


# --- the loop ----------------------------------------------------------------------------------------


class Story:
    """A model that fails in a certain way before it answers."""

    def __init__(self, *errors: BaseException) -> None:
        self.clock = VirtualClock()
        self.errors = list(errors)
        self.tried_at: list[float] = []
        self.pauses: list[float] = []

    async def ask(self) -> ModelAnswer:
        self.tried_at.append(round(self.clock.monotonic(), 6))
        if self.errors:
            raise self.errors.pop(0)
        return ANSWER

    async def run(self, until: float = 1000.0, *, warming_up: bool = False) -> ModelAnswer:
        return await with_retry(
            self.ask, self.clock, until=until, warming_up=warming_up, pause_everybody=self.pauses.append
        )


def limited(*seconds: float) -> Sequence[LamplighterError]:
    return [RateLimited("429", retry_after=each) for each in seconds]


async def test_the_first_answer_is_returned() -> None:
    """Nothing waits when nothing fails."""
    story = Story()
    assert await story.run() is ANSWER
    assert (story.tried_at, story.pauses) == ([0], [])


async def test_a_rate_limit_is_waited_out_by_everybody() -> None:
    """Three 429s that name 2, 3 and 0.5 s: the fourth try comes at 5.5 s, and all were informed each time."""
    story = Story(*limited(2, 3, 0.5))
    assert await story.run() is ANSWER
    assert story.tried_at == [0, 2, 5, 5.5]
    assert story.pauses == [2, 3, 0.5]


async def test_an_outage_is_waited_out_alone() -> None:
    """Other requests may well be answered, so nobody else pauses; each wait is within its bounds."""
    story = Story(*(ModelUnavailable("503") for _ in range(4)))
    assert await story.run() is ANSWER
    waits = [later - earlier for earlier, later in zip(story.tried_at, story.tried_at[1:], strict=False)]
    assert all(most / 2 <= wait <= most for wait, most in zip(waits, [1, 2, 4, 8], strict=True))
    assert story.pauses == []


async def test_no_try_comes_after_the_deadline() -> None:
    """The next would come at 12 s, the deadline is at 11: the last error is raised at once, at 5 s.

    The others are informed too: the limit is everybody's.
    """
    story = Story(*limited(5, 7))
    with pytest.raises(RateLimited):
        await story.run(until=11)
    assert story.tried_at == [0, 5]
    assert story.clock.monotonic() == 5
    assert story.pauses == [5, 7]


async def test_a_try_exactly_at_the_deadline_is_made() -> None:
    """The deadline is the last instant at which a request may start."""
    story = Story(*limited(5))
    assert await story.run(until=5) is ANSWER


@pytest.mark.parametrize(
    "error",
    [RequestRefused("content_filter"), AccessDenied("401"), DeploymentNotFound("404"), KeyError("bug")],
)
async def test_what_no_try_mends_is_raised_at_once(error: Exception) -> None:
    """The caller sees the error itself."""
    story = Story(error)
    with pytest.raises(type(error)) as raised:
        await story.run()
    assert raised.value is error
    assert story.tried_at == [0]


async def test_a_deployment_that_warms_up_is_asked_again() -> None:
    """For a while after its first answer some requests still get a 404."""
    story = Story(DeploymentNotFound("404"), DeploymentNotFound("404"))
    assert await story.run(warming_up=True) is ANSWER
    assert len(story.tried_at) == 3


async def test_the_count_is_only_a_backstop() -> None:
    """A server that names no time at all does not keep a request for ever."""
    story = Story(*limited(*[0] * (MAX_TRIES + 5)))
    with pytest.raises(RateLimited):
        await story.run()
    assert len(story.tried_at) == MAX_TRIES


async def test_a_cancelled_request_stays_cancelled() -> None:
    """The end of a slice is not an error that another try could correct."""
    story = Story(asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await story.run()
    assert story.tried_at == [0]
