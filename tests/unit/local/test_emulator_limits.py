"""The rate limiter in all its variants, by a clock set by hand."""

from datetime import timedelta
from typing import Any

import pytest
from emulator_clients import START

from local.emulator.limits import DeploymentLimits, Verdict
from local.emulator.options import LimitRules
from local.emulator.throttle import TokenBucket


def at(seconds: float):
    return START + timedelta(seconds=seconds)


def limited(tokens: int, requests: int, **rules: Any) -> DeploymentLimits:
    return DeploymentLimits(tokens, requests, LimitRules(**rules))


def test_tokens_are_counted_over_a_minute_that_begins_with_its_first_request():
    """1,000 tokens a minute: 600 pass, 600 more have to wait for the minute's end, and pass then."""
    limits = limited(1000, 60, request_window=10)
    assert limits.admit(600, at(0)).exceeded is None

    refused = limits.admit(600, at(20))
    assert (refused.exceeded, refused.retry_after, refused.remaining_tokens) == ("token", 40, 400)

    assert limits.admit(400, at(21)).exceeded is None  # the refused one's tokens were not counted
    assert limits.admit(600, at(59.9)).exceeded == "token"
    assert limits.admit(600, at(60)).exceeded is None


def test_requests_are_counted_over_ten_seconds_too():
    """60 requests a minute are 10 in 10 seconds: the eleventh waits, though the minute has room."""
    limits = limited(1_000_000, 60, request_window=10)
    verdicts = [limits.admit(1, at(0)) for _ in range(11)]
    assert [verdict.exceeded for verdict in verdicts] == [None] * 10 + ["call"]
    assert verdicts[-1].retry_after == 10
    assert limits.admit(1, at(10)).exceeded is None


def test_a_window_of_one_second_is_stricter_than_one_of_ten():
    """60 requests a minute are one a second, where the window is a second."""
    limits = limited(1_000_000, 60, request_window=1)
    assert limits.admit(1, at(0)).exceeded is None
    assert limits.admit(1, at(0.5)).exceeded == "call"
    assert limits.admit(1, at(1)).exceeded is None


def test_a_few_requests_a_minute_leave_one_for_each_short_window():
    """3 requests a minute: one at a time, and after three the minute must end."""
    limits = limited(1_000_000, 3, request_window=10)
    assert [limits.admit(1, at(second)).exceeded for second in (0, 1, 10, 20)] == [None, "call", None, "call"]
    assert limits.admit(1, at(30)).retry_after == 30


def test_refused_requests_count_as_requests():
    """A caller who hammers a full token window uses up its requests as well."""
    limits = limited(1000, 60, request_window=10)
    limits.admit(1000, at(0))
    assert [limits.admit(500, at(1)).exceeded for _ in range(10)] == ["token"] * 9 + ["call"]


def test_a_request_above_the_limit_itself_has_to_wait_a_day():
    """No minute has room for it, however empty, and the answer says so by its Retry-After."""
    limits = limited(1000, 60, request_window=10)
    for second in (0, 60, 600):
        verdict = limits.admit(1001, at(second))
        assert (verdict.exceeded, verdict.retry_after) == ("token", 86_400)


def test_the_verdict_shows_what_is_left_of_the_tightest_window():
    """Limits are per minute; what remains of requests is what the ten seconds leave."""
    limits = limited(1000, 60, request_window=10)
    limits.admit(100, at(0))
    assert limits.admit(200, at(4)) == Verdict(
        exceeded=None,
        retry_after=0,
        limit_requests=60,
        remaining_requests=8,
        reset_requests=6,
        limit_tokens=1000,
        remaining_tokens=700,
        reset_tokens=56,
    )


def test_a_sliding_window_frees_what_left_it():
    """600 of 1,000 tokens at 0 s and 400 at 30 s: each is free again 60 s after it was charged."""
    limits = limited(1000, 60, window="sliding")
    assert [limits.admit(600, at(0)).exceeded, limits.admit(400, at(30)).exceeded] == [None, None]
    assert [limits.admit(500, at(40)).retry_after, limits.admit(1000, at(41)).retry_after] == [20, 49]
    assert limits.admit(500, at(60)).exceeded is None


def test_a_sliding_window_of_requests_has_no_burst_at_its_edge():
    """Ten in ten seconds. Fixed windows pass ten more at the edge, and a sliding one does not."""
    passed = {}
    for window in ("fixed", "sliding"):
        limits = limited(10**6, 60, window=window)
        limits.admit(1, at(0))
        late = [limits.admit(1, at(9.9)).exceeded for _ in range(9)]
        early = [limits.admit(1, at(10)).exceeded for _ in range(9)]
        passed[window] = (late + early).count(None)
    assert passed == {"fixed": 18, "sliding": 10}


@pytest.mark.parametrize(("refused", "then"), [("counted", "call"), ("free", None)])
def test_refused_requests_count_only_by_that_rule(refused: str, then: str | None):
    """Nine refusals for want of tokens, and a request without any."""
    limits = limited(1000, 60, refused=refused)
    limits.admit(1000, at(0))
    assert [limits.admit(500, at(1)).exceeded for _ in range(9)] == ["token"] * 9
    assert limits.admit(0, at(2)).exceeded == then


@pytest.mark.parametrize("window", ["fixed", "sliding"])
def test_tokens_too_hold_over_a_short_window(window: str):
    """6,000 a minute are 1,000 in ten seconds. A larger request passes once nothing else is charged there."""
    limits = limited(6000, 600, token_window=10, window=window)
    assert limits.admit(1000, at(0)).exceeded is None
    assert (limits.admit(1, at(1)).exceeded, limits.admit(2000, at(1)).retry_after) == ("token", 9)
    assert limits.admit(2000, at(10)).exceeded is None


def test_a_minute_may_be_shorter_than_sixty_seconds():
    """Its shorter windows as well: a minute of 6 s has windows of one second in the place of ten."""
    limits = limited(1000, 60, minute_seconds=6)
    assert [limits.admit(1, at(0)).exceeded for _ in range(11)] == [None] * 10 + ["call"]
    assert limits.admit(990, at(1)).exceeded is None
    assert limits.admit(1, at(2)).retry_after == 4


def test_limits_that_change_keep_what_was_charged():
    """Halved at 800 of 1,000 tokens: nothing more passes in this minute; doubled again, 200 do."""
    limits = limited(1000, 60)
    limits.admit(800, at(0))
    limits.resize(500, 30)
    assert limits.admit(1, at(1)).exceeded == "token"
    limits.resize(1000, 60)
    assert limits.admit(200, at(2)).exceeded is None


def test_arm_refills_its_bucket_by_the_second():
    """A bucket of 3 calls, refilled by 0.5 a second: the fourth call has to wait 2 s, and passes then."""
    bucket = TokenBucket(3, 0.5)
    assert [bucket.take(at(0)) for _ in range(4)] == [0, 0, 0, 2]
    assert bucket.take(at(1)) == 1
    assert bucket.take(at(2)) == 0
    assert [bucket.take(at(3600)) for _ in range(4)] == [0, 0, 0, 2]  # never fuller than its size
