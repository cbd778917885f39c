"""Pacing: what is sent stays within the deployment's limits, and uses them, in virtual time."""

from __future__ import annotations

import asyncio
import math
import tracemalloc
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest

from local.emulator.limit_headers import headers_of
from local.emulator.limits import DeploymentLimits
from local.emulator.options import LimitHeaders, LimitRules
from shared.documents.pacer import Limits, Pacer
from shared.documents.rate_windows import Meter
from shared.model import ModelAnswer
from tests.fakes.clock import START, VirtualClock
from tests.simulation.loop import run

FOREVER = 1e9
ANSWER = ModelAnswer("yes", "stop", "m", 0, 0)


class Sender:
    """Requests through one pacer, and when each was admitted."""

    def __init__(self, tokens_per_minute: int, requests_per_minute: int) -> None:
        self.clock = VirtualClock()
        self.pacer = Pacer(self.clock, Limits(tokens_per_minute, requests_per_minute))
        self.sent: list[tuple[float, int]] = []

    async def send(self, tokens: int, until: float = FOREVER) -> bool:
        admitted = await self.pacer.admit(tokens, until)
        if admitted is not None:
            self.sent.append((self.clock.monotonic(), tokens))
        return admitted is not None

    async def send_all(self, requests: Iterable[int]) -> None:
        await asyncio.gather(*(self.send(tokens) for tokens in requests))

    def times(self) -> list[float]:
        """The times of all requests, to half a second: our windows are a little longer than the server's."""
        return [math.floor(at * 2) / 2 for at, _ in self.sent]


# --- a server's limits -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Load:
    """So many requests of random sizes, and the limits per minute of the deployment that takes them."""

    tokens: int
    requests: int
    least: int
    most: int
    count: int


LOADS = {
    "requests": Load(tokens=600_000, requests=600, least=40, most=200, count=6_000),
    "few requests": Load(tokens=60_000, requests=60, least=40, most=200, count=600),
    "tokens": Load(tokens=300_000, requests=1_800, least=400, most=600, count=6_000),
    "large documents": Load(tokens=300_000, requests=1_800, least=1_000, most=20_000, count=300),
}


class LoopClock:
    """The time of the simulation's event loop, which never waits."""

    def now(self) -> datetime:
        return START + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


@dataclass
class Server:
    """The emulator's limits behind a network on which requests take 2 to 30 ms and overtake each other."""

    clock: LoopClock
    limits: DeploymentLimits
    headers: LimitHeaders = "present"

    def __post_init__(self) -> None:
        self.admitted: list[tuple[float, int]] = []
        self.rejected = 0
        self._random = Random(7)
        self._headers = headers_of(self.headers)

    async def answer(self, tokens: int) -> tuple[bool, dict[str, str]]:
        await self.clock.sleep(0.002 + min(0.03, self._random.expovariate(1 / 0.004)))
        verdict = self.limits.admit(tokens, self.clock.now())
        if verdict.exceeded is None:
            self.admitted.append((self.clock.monotonic(), tokens))
        else:
            self.rejected += 1
        return verdict.exceeded is None, dict(self._headers(verdict))

    def use(self, load: Load, since: float = 0.0, until: float = FOREVER) -> float:
        """What was admitted, as a share of what the tighter limit allowed from the first to the last."""
        admitted = [(at, tokens) for at, tokens in self.admitted if since <= at <= until]
        minutes = (admitted[-1][0] - admitted[0][0]) / 60
        tokens = sum(tokens for _, tokens in admitted[1:])
        return max((len(admitted) - 1) / load.requests, tokens / load.tokens) / minutes


def whole(headers: dict[str, str], name: str) -> int | None:
    value = headers.get(f"x-ratelimit-{name}", "")
    return int(value) if value.isdigit() else None


async def drain(server: Server, load: Load, at: Mapping[float, tuple[int, int]], parallel: int = 200) -> None:
    """Send everything through one pacer, with so many requests at once, and again what is refused."""
    clock, random = server.clock, Random(8)
    pacer = Pacer(clock, Limits(load.tokens, load.requests))
    sizes = iter([random.randint(load.least, load.most) for _ in range(load.count)])

    async def worker() -> None:
        for tokens in sizes:
            while True:
                sent_at = await pacer.admit(tokens, FOREVER)
                assert sent_at is not None
                admitted, headers = await server.answer(tokens)
                await clock.sleep(random.uniform(0.2, 2.0) if admitted else 0.01)
                if admitted:
                    shown: dict[str, Any] = {
                        name.replace("-", "_"): whole(headers, name)
                        for name in ("limit-tokens", "limit-requests", "remaining-tokens")
                    }
                    pacer.learn(0, replace(ANSWER, **shown))
                    break
                pacer.refused(sent_at, tokens)
                pacer.pause(min(60.0, whole(headers, "retry-after") or 1.0))

    async def resize(seconds: float, limits: tuple[int, int]) -> None:
        await clock.sleep(seconds)
        server.limits.resize(*limits)

    await asyncio.gather(*(worker() for _ in range(parallel)), *(resize(*each) for each in at.items()))


def drained(
    load: Load,
    rules: LimitRules,
    headers: LimitHeaders = "present",
    at: Mapping[float, tuple[int, int]] | None = None,
) -> Server:
    """A server with these limits after it has got the load. `at`: new limits, by time in seconds."""
    server = Server(LoopClock(), DeploymentLimits(load.tokens, load.requests, rules), headers)
    run(drain(server, load, at or {}))
    return server


@pytest.mark.parametrize("load", LOADS.values(), ids=LOADS)
@pytest.mark.parametrize("window", ["fixed", "sliding"])
@pytest.mark.parametrize("request_window", [10, 60])
def test_a_backlog_uses_the_limits_and_is_not_refused(load: Load, window: Any, request_window: int) -> None:
    """Ten minutes at the limit: 97% of it is used, and at most one request in a thousand is refused."""
    server = drained(load, LimitRules(request_window=request_window, window=window))
    assert server.use(load) >= (0.9 if load is LOADS["large documents"] else 0.97)
    assert server.rejected <= load.count / 1000


@pytest.mark.parametrize(("request_window", "token_window"), [(1, 60), (10, 10), (1, 1)])
@pytest.mark.parametrize("load", ["requests", "tokens"])
def test_a_shorter_window_is_learned_from_a_few_refusals(
    load: str, request_window: int, token_window: int
) -> None:
    """Over 1 s, or tokens over less than a minute, as Azure does not document: few refusals."""
    server = drained(LOADS[load], LimitRules(request_window=request_window, token_window=token_window))
    assert server.use(LOADS[load]) >= 0.8
    assert server.rejected <= LOADS[load].count * 0.03


@pytest.mark.parametrize("headers", ["present", "absent", "nonsense"])
@pytest.mark.parametrize("load", ["requests", "tokens"])
def test_a_limit_that_is_lowered_and_raised_is_followed(load: str, headers: LimitHeaders) -> None:
    """Halved after three minutes, restored after seven: by the headers at once, or by refusals."""
    asked = LOADS[load]
    half, full = (asked.tokens // 2, asked.requests // 2), (asked.tokens, asked.requests)
    server = drained(asked, LimitRules(), headers, {180.0: half, 420.0: full})
    exact = headers == "present"
    assert server.use(asked, 0, 180) >= 0.96
    assert server.use(asked, 240, 420) >= (0.47 if exact else 0.38)
    assert server.use(asked, 540) >= (0.96 if exact else 0.8)
    assert server.rejected <= (6 if exact else asked.count * 0.03)


async def test_what_exceeds_a_whole_minute_is_never_admitted() -> None:
    """No waiting would help, so it is refused at once."""
    sender = Sender(1_000, 60)
    assert not await sender.send(1_001)
    assert sender.clock.monotonic() == 0
    assert sender.pacer.pause_needed(0.0, 1_001) == math.inf


# --- order and deadlines -----------------------------------------------------------------------------


async def test_who_cannot_be_admitted_in_time_is_refused_at_once() -> None:
    """The wait would end after 60 s, and the deadline is then: False, now, and nothing is counted."""
    sender = Sender(1_000, 600)
    assert await sender.send(1_000)
    assert not await sender.send(1, until=60)
    assert sender.clock.monotonic() == 0
    assert await sender.send(1, until=61)
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
        await sender.clock.sleep(0.3)
        sender.pacer.pause(30)

    await asyncio.gather(meet_the_limit(), sender.send_all([10] * 6))
    assert sender.times()[:3] == [0, 0, 0]
    assert min(at for at, _ in sender.sent[3:]) == 30.3


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
    pacer = Pacer(VirtualClock(), Limits(10_000, 60))
    assert pacer.estimate(100, 50) == 150
    for _ in range(30):
        pacer.learn(100, replace(ANSWER, prompt_tokens=200))
    assert pacer.estimate(100, 50) == pytest.approx(250, abs=1)


@pytest.mark.parametrize(("prompt_tokens", "least", "most"), [(10**12, 300, 301), (1, 20, 21)])
def test_one_strange_answer_does_not_carry_estimates_away(prompt_tokens: int, least: int, most: int) -> None:
    """However often it comes, an estimate of 100 stays between 20 and 300."""
    pacer = Pacer(VirtualClock(), Limits(10_000, 60))
    for _ in range(100):
        pacer.learn(100, replace(ANSWER, prompt_tokens=prompt_tokens))
    assert least <= pacer.estimate(100, 0) <= most


@pytest.mark.parametrize(("estimated", "prompt_tokens"), [(0, 100), (100, 0), (-5, 100), (100, -5)])
def test_an_answer_without_usage_teaches_nothing(estimated: int, prompt_tokens: int) -> None:
    """Nothing is divided by zero."""
    pacer = Pacer(VirtualClock(), Limits(10_000, 60))
    pacer.learn(estimated, replace(ANSWER, prompt_tokens=prompt_tokens))
    assert pacer.estimate(100, 0) == 100


async def test_tokens_that_others_use_are_left_to_them() -> None:
    """We sent 1,000 of 10,000 and the server says that 2,000 remain: 7,000 were somebody else's.

    2,000 more go out at once, and another 5,000 a minute after that was said.
    """
    sender = Sender(10_000, 600)
    await sender.send(1_000)
    sender.clock.advance(5)
    sender.pacer.learn(0, replace(ANSWER, remaining_tokens=2_000))
    await sender.send(2_000)
    await sender.send(5_000)
    assert sender.times() == [0, 5, 65]


@pytest.mark.parametrize("remaining", [None, -1, 10_001, 2**63])
async def test_an_insane_header_is_ignored(remaining: int | None) -> None:
    """Less than nothing or more than the limit remains: the former value holds."""
    sender = Sender(10_000, 600)
    await sender.send(1_000)
    sender.pacer.learn(0, replace(ANSWER, remaining_tokens=2_000))
    sender.pacer.learn(0, replace(ANSWER, remaining_tokens=remaining))
    assert sender.pacer.pause_needed(0.0, 2_000) == 0
    assert sender.pacer.pause_needed(0.0, 2_001) == pytest.approx(60, abs=0.5)


async def test_a_server_that_counts_less_than_we_do_does_not_raise_the_limit() -> None:
    """Our count includes what is still on its way to the server."""
    sender = Sender(10_000, 600)
    await sender.send(9_000)
    sender.pacer.learn(0, replace(ANSWER, remaining_tokens=10_000))
    assert sender.pacer.pause_needed(0.0, 1_000) == 0
    assert sender.pacer.pause_needed(0.0, 1_001) == pytest.approx(60, abs=0.5)


async def test_headers_alone_never_stop_the_work() -> None:
    """Two answers say that one token a minute is the limit: it falls to a tenth, and no further."""
    sender = Sender(10_000, 600)
    for _ in range(2):
        sender.pacer.learn(0, replace(ANSWER, limit_tokens=10_000))
    for _ in range(2):
        sender.pacer.learn(0, replace(ANSWER, limit_tokens=1))
    await sender.send_all([500] * 4)
    assert 60 <= sender.clock.monotonic() <= 62


def test_what_is_counted_stays_small() -> None:
    """After an hour at ten requests a second, a few minutes of them are remembered, in every window."""
    meter = Meter(burst=1 / 60, observed=1)
    meter.resize(600, 60, 0.0)
    tracemalloc.start()
    for number in range(36_000):
        meter.charge(number / 10, 1)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 500_000


async def test_the_margin_holds_whenever_it_is_asked() -> None:
    """Half a second after the server's minute, ours still counts what filled it: refusals showed why."""
    sender = Sender(1_000, 600)
    for _ in range(3):
        await sender.send(1_000)
        sender.clock.advance(1)
        sender.pacer.refused(sender.clock.monotonic() - 0.5, 0)
    sent_at, _ = sender.sent[-1]
    sender.clock.advance(sent_at + 60.5 - sender.clock.monotonic())
    assert sender.pacer.pause_needed(sender.clock.monotonic(), 1_000) > 0.5
