"""The rate limiter, by a clock set by hand."""

from datetime import timedelta

from emulator_clients import START

from local.emulator.limits import DeploymentLimits, TokenBucket, Verdict


def at(seconds: float):
    return START + timedelta(seconds=seconds)


def test_tokens_are_counted_over_a_minute_that_begins_with_its_first_request():
    """1,000 tokens a minute: 600 pass, 600 more have to wait for the minute's end, and pass then."""
    limits = DeploymentLimits(1000, 60, request_window=10)
    assert limits.admit(600, at(0)).exceeded is None

    refused = limits.admit(600, at(20))
    assert (refused.exceeded, refused.retry_after, refused.remaining_tokens) == ("token", 40, 400)

    assert limits.admit(400, at(21)).exceeded is None  # the refused one's tokens were not counted
    assert limits.admit(600, at(59.9)).exceeded == "token"
    assert limits.admit(600, at(60)).exceeded is None


def test_requests_are_counted_over_ten_seconds_too():
    """60 requests a minute are 10 in 10 seconds: the eleventh waits, though the minute has room."""
    limits = DeploymentLimits(1_000_000, 60, request_window=10)
    verdicts = [limits.admit(1, at(0)) for _ in range(11)]
    assert [verdict.exceeded for verdict in verdicts] == [None] * 10 + ["call"]
    assert verdicts[-1].retry_after == 10
    assert limits.admit(1, at(10)).exceeded is None


def test_a_window_of_one_second_is_stricter_than_one_of_ten():
    """60 requests a minute are one a second, where the window is a second."""
    limits = DeploymentLimits(1_000_000, 60, request_window=1)
    assert limits.admit(1, at(0)).exceeded is None
    assert limits.admit(1, at(0.5)).exceeded == "call"
    assert limits.admit(1, at(1)).exceeded is None


def test_a_few_requests_a_minute_leave_one_for_each_short_window():
    """3 requests a minute: one at a time, and after three the minute must end."""
    limits = DeploymentLimits(1_000_000, 3, request_window=10)
    assert [limits.admit(1, at(second)).exceeded for second in (0, 1, 10, 20)] == [None, "call", None, "call"]
    assert limits.admit(1, at(30)).retry_after == 30


def test_refused_requests_count_as_requests():
    """A caller who hammers a full token window uses up its requests as well."""
    limits = DeploymentLimits(1000, 60, request_window=10)
    limits.admit(1000, at(0))
    assert [limits.admit(500, at(1)).exceeded for _ in range(10)] == ["token"] * 9 + ["call"]


def test_a_request_above_the_limit_itself_has_to_wait_a_day():
    """No minute has room for it, however empty, and the answer says so by its Retry-After."""
    limits = DeploymentLimits(1000, 60, request_window=10)
    for second in (0, 60, 600):
        verdict = limits.admit(1001, at(second))
        assert (verdict.exceeded, verdict.retry_after) == ("token", 86_400)


def test_the_verdict_shows_what_is_left_of_the_tightest_window():
    """Limits are per minute; what remains of requests is what the ten seconds leave."""
    limits = DeploymentLimits(1000, 60, request_window=10)
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


def test_arm_refills_its_bucket_by_the_second():
    """A bucket of 3 calls, refilled by 0.5 a second: the fourth call has to wait 2 s, and passes then."""
    bucket = TokenBucket(3, 0.5)
    assert [bucket.take(at(0)) for _ in range(4)] == [0, 0, 0, 2]
    assert bucket.take(at(1)) == 1
    assert bucket.take(at(2)) == 0
    assert [bucket.take(at(3600)) for _ in range(4)] == [0, 0, 0, 2]  # never fuller than its size
