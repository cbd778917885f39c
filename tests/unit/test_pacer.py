"""Pacing: what is sent stays within the deployment's limits, in virtual time."""

from __future__ import annotations

import asyncio
import math
import operator
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.documents.pacer import Pacer
from tests.fakes.clock import VirtualClock

HARDLY = 1e-6  # seconds: windows are half-open, and floats are not exact
FOREVER = 1e9


class Sender:
    """Requests through one pacer, and when each was admitted."""

    def __init__(self, tokens_per_minute: int, requests_per_minute: int) -> None:
        self.clock = VirtualClock()
        self.pacer = Pacer(self.clock, tokens_per_minute, requests_per_minute)
        self.sent: list[tuple[float, int]] = []

    async def send(self, tokens: int, until: float = FOREVER) -> bool:
        admitted = await self.pacer.admit(tokens, until)
        if admitted:
            self.sent.append((self.clock.monotonic(), tokens))
        return admitted

    async def send_all(self, requests: Iterable[int]) -> None:
        await asyncio.gather(*(self.send(tokens) for tokens in requests))

    def times(self) -> list[float]:
        return [round(at, 6) for at, _ in self.sent]


def earliest(tokens: int, requests: int, asked: Sequence[int]) -> list[float]:
    """When each of them may go out at best, in their order, by every window that ends with it.

    Azure counts tokens by the minute, and requests over 1 or 10 s too, in which at least one is allowed.
    """
    sent: list[tuple[float, int]] = []

    def is_allowed(at: float, charge: int) -> bool:
        of_minute = sum(each for when, each in sent if when > at - 60 + HARDLY)
        counts = [sum(when > at - length + HARDLY for when, _ in sent) for length in (60, 10, 1)]
        most = [max(1, requests * length // 60) for length in (60, 10, 1)]
        return of_minute + charge <= tokens and all(map(operator.lt, counts, most))

    for charge in asked:
        last = sent[-1][0] if sent else 0.0
        times = {last, *(when + length for when, _ in sent for length in (60, 10, 1) if when + length > last)}
        sent.append((next(at for at in sorted(times) if is_allowed(at, charge)), charge))
    return [at for at, _ in sent]


# --- limits ------------------------------------------------------------------------------------------


@given(
    tokens=st.integers(3, 100_000),
    requests=st.integers(1, 600),
    shares=st.lists(st.floats(0, 1), min_size=1, max_size=40),
)
async def test_requests_go_out_as_early_as_every_limit_admits(
    tokens: int, requests: int, shares: list[float]
) -> None:
    """In the order of their asking, to the last token: no window ever holds too much, and none idles."""
    asked = [max(1, int(share * tokens)) for share in shares]
    sender = Sender(tokens, requests)
    await sender.send_all(asked)
    assert [charge for _, charge in sender.sent] == asked
    assert sender.times() == pytest.approx(earliest(tokens, requests, asked))


async def test_tokens_wait_for_the_minute_in_which_they_fit() -> None:
    """600 of 1,000 at 0 s and 300 at 1 s: another 500 fit at 60 s, when the first 600 are forgotten."""
    sender = Sender(1_000, 60)
    await sender.send_all([600, 300, 500])
    assert sender.times() == [0, 1, 60]


async def test_what_exceeds_a_whole_minute_is_never_admitted() -> None:
    """No waiting would help, so it is refused at once."""
    sender = Sender(1_000, 60)
    assert not await sender.send(1_001)
    assert sender.clock.monotonic() == 0
    assert sender.pacer.pause_needed(0.0, 1_001) == math.inf


# --- order and deadlines -----------------------------------------------------------------------------


async def test_who_cannot_be_admitted_in_time_is_refused_at_once() -> None:
    """The wait would end at 60 s and the deadline is at 59: False, now, and nothing is counted."""
    sender = Sender(1_000, 600)
    assert await sender.send(1_000)
    assert not await sender.send(1, until=59)
    assert sender.clock.monotonic() == 0
    assert await sender.send(1, until=60)
    assert sender.times() == [0, 60]


async def test_who_waited_in_line_beyond_the_deadline_is_not_admitted() -> None:
    """Behind somebody who waits for a minute, a request with a deadline of 30 s is refused, not sent late."""
    sender = Sender(1_000, 600)
    assert await sender.send(1_000)
    first, second = await asyncio.gather(sender.send(10), sender.send(10, until=30))
    assert (first, second) == (True, False)
    assert sender.times() == [0, 60]


async def test_a_waiter_that_is_cancelled_lets_the_next_one_go() -> None:
    """The end of a slice does not block the line."""
    sender = Sender(1_000, 600)
    assert await sender.send(1_000)
    waiting = asyncio.create_task(sender.send(500))
    await asyncio.sleep(0)
    behind = asyncio.create_task(sender.send(200))
    await asyncio.sleep(0)
    waiting.cancel()
    assert await behind
    assert [tokens for _, tokens in sender.sent] == [1_000, 200]


# --- the server's word -------------------------------------------------------------------------------


async def test_a_pause_holds_everybody() -> None:
    """One 429 that names 30 s: nothing is admitted before that, neither what waited nor what comes anew."""
    sender = Sender(1_000_000, 120)

    async def meet_the_limit() -> None:
        await sender.clock.sleep(1.5)
        sender.pacer.pause(30)

    await asyncio.gather(meet_the_limit(), sender.send_all([10] * 6))
    assert sender.times() == [0, 0, 1, 1, 31.5, 31.5]


async def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    """Two answers that cross: the later time counts."""
    sender = Sender(1_000_000, 120)
    sender.pacer.pause(30)
    sender.pacer.pause(1)
    await sender.send(10)
    assert sender.times() == [30]


async def test_a_pause_beyond_the_deadline_is_refused_at_once() -> None:
    """Nobody waits for what comes too late."""
    sender = Sender(1_000_000, 120)
    sender.pacer.pause(30)
    assert not await sender.send(10, until=29)
    assert sender.clock.monotonic() == 0


# --- learning ----------------------------------------------------------------------------------------


def test_estimates_follow_what_was_charged() -> None:
    """When prompts turn out twice as long as estimated, so are the estimates after a while."""
    pacer = Pacer(VirtualClock(), 10_000, 60)
    assert pacer.estimate(100, 50) == 150
    for _ in range(30):
        pacer.learn(100, 200, None)
    assert pacer.estimate(100, 50) == pytest.approx(250, abs=1)


@pytest.mark.parametrize(("prompt_tokens", "least", "most"), [(10**12, 300, 301), (1, 20, 21)])
def test_one_strange_answer_does_not_carry_estimates_away(prompt_tokens: int, least: int, most: int) -> None:
    """However often it comes, an estimate of 100 stays between 20 and 300."""
    pacer = Pacer(VirtualClock(), 10_000, 60)
    for _ in range(100):
        pacer.learn(100, prompt_tokens, None)
    assert least <= pacer.estimate(100, 0) <= most


@pytest.mark.parametrize(("estimated", "prompt_tokens"), [(0, 100), (100, 0), (-5, 100), (100, -5)])
def test_an_answer_without_usage_teaches_nothing(estimated: int, prompt_tokens: int) -> None:
    """Nothing is divided by zero."""
    pacer = Pacer(VirtualClock(), 10_000, 60)
    pacer.learn(estimated, prompt_tokens, None)
    assert pacer.estimate(100, 0) == 100


async def test_tokens_that_others_use_are_left_to_them() -> None:
    """We sent 1,000 of 10,000 and the server says that 2,000 remain: 7,000 were somebody else's.

    2,000 more go out at once, and another 5,000 a minute after that was said.
    """
    sender = Sender(10_000, 600)
    await sender.send(1_000)
    sender.clock.advance(5)
    sender.pacer.learn(100, 100, remaining_tokens=2_000)
    await sender.send(2_000)
    await sender.send(5_000)
    assert sender.times() == [0, 5, 65]


@pytest.mark.parametrize("remaining", [None, -1, 10_001, 2**63])
async def test_an_insane_header_is_ignored(remaining: int | None) -> None:
    """Less than nothing or more than the limit remains: the former value holds."""
    sender = Sender(10_000, 600)
    await sender.send(1_000)
    sender.pacer.learn(100, 100, 2_000)
    sender.pacer.learn(100, 100, remaining)
    assert sender.pacer.pause_needed(0.0, 2_000) == 0
    assert sender.pacer.pause_needed(0.0, 2_001) == 60


async def test_a_server_that_counts_less_than_we_do_does_not_raise_the_limit() -> None:
    """Our count includes what is still on its way to the server."""
    sender = Sender(10_000, 600)
    await sender.send(9_000)
    sender.pacer.learn(100, 100, remaining_tokens=10_000)
    assert sender.pacer.pause_needed(0.0, 1_000) == 0
    assert sender.pacer.pause_needed(0.0, 1_001) == 60
