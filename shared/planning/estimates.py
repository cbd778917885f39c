"""Estimate from history how long a create takes: from its request to the first successful request.

Azure documents no provisioning time, so the estimate is a distribution and never a constant. It is lognormal.
It is computed from measured times and from a prior (median 5 minutes, 95th percentile 15) that counts as some
samples.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import NormalDist, fmean

_NORMAL = NormalDist()
_PRIOR_WEIGHT = 5  # samples
_BUMP, _NARROWEST = 0.5, 0.05  # standard deviations, of the logarithm
_HALVINGS = 40  # of an interval about ten wide: the error is far below a millisecond
MOST_SAMPLES = 120  # only the latest of a deployment count, because Azure changes
LEAD_SHARE = 0.95
"""The share of creates that must be finished when a window starts."""


@dataclass(frozen=True)
class CreateTime:
    """The time that a create takes; `mu` and `sigma` are of the natural logarithm of its seconds."""

    mu: float
    sigma: float

    def quantile(self, share: float) -> timedelta:
        """Return the time within which this share of creates is finished."""
        return _quantile(self.mu, self.sigma, share)

    def mean(self) -> timedelta:
        """Return the average time."""
        return _mean(self.mu, self.sigma)

    def longer_than(self, span: timedelta) -> float:
        """Return the probability that a create takes longer than this."""
        seconds = span.total_seconds()
        if seconds <= 0:
            return 1.0
        return 0.5 * math.erfc((math.log(seconds) - self.mu) / (self.sigma * math.sqrt(2.0)))

    def excess(self, span: timedelta) -> timedelta:
        """Return by how much a create takes longer than this, on average over all creates."""
        seconds = span.total_seconds()
        if seconds <= 0:
            return self.mean() - span
        z = (math.log(seconds) - self.mu) / self.sigma
        above = self.mean().total_seconds() * _NORMAL.cdf(self.sigma - z)
        return timedelta(seconds=max(0.0, above - seconds * _NORMAL.cdf(-z)))


# Cached: the preview of a year asks for the same few values thousands of times.


@functools.lru_cache(maxsize=4096)
def _quantile(mu: float, sigma: float, share: float) -> timedelta:
    return timedelta(seconds=math.exp(mu + sigma * _NORMAL.inv_cdf(share)))


@functools.lru_cache(maxsize=4096)
def _mean(mu: float, sigma: float) -> timedelta:
    return timedelta(seconds=math.exp(mu + sigma**2 / 2))


PRIOR = CreateTime(math.log(300.0), math.log(3.0) / _NORMAL.inv_cdf(0.95))


def learned(samples: Sequence[float], prior: CreateTime = PRIOR) -> CreateTime:
    """Return the prior after an update with measured seconds.

    If the samples disagree with the prior, the spread grows, so that a few samples do not give false
    certainty. But with this rule alone, one very quick create would lengthen the lead, because a lognormal
    spreads to both sides. So its 95th percentile, from which leads are taken, is never above that of a
    mixture: the prior with its weight, and a bump around each sample. No bump is wider than the prior, so
    samples below the prior's median leave less than 5 % of the mixture above the prior's own percentile:
    quick creates never lengthen a lead. A sample above the percentile raises it, both in the mixture and in
    the lognormal: a slow create never shortens a lead, and a much slower one lengthens it at once.
    """
    if not samples:
        return prior
    logs = [math.log(max(1.0, seconds)) for seconds in samples]
    count, mean = len(logs), fmean(logs)
    whole = _PRIOR_WEIGHT + count
    mu = (_PRIOR_WEIGHT * prior.mu + count * mean) / whole
    squares = _PRIOR_WEIGHT * prior.sigma**2 + sum((log - mean) ** 2 for log in logs)
    squares += _PRIOR_WEIGHT * count / whole * (mean - prior.mu) ** 2
    sigma = math.sqrt(squares / whole * (1 + 1 / whole))
    z = _NORMAL.inv_cdf(LEAD_SHARE)
    return CreateTime(
        mu, max(_NARROWEST, min(sigma, (_mixed(logs, min(_BUMP, prior.sigma), prior) - mu) / z))
    )


def _mixed(logs: Sequence[float], width: float, prior: CreateTime) -> float:
    """Find by bisection the logarithm below which LEAD_SHARE of the mixture lies."""
    wanted = 2.0 * (1.0 - LEAD_SHARE) * (_PRIOR_WEIGHT + len(logs))
    low, high = (
        min(prior.mu, *logs),
        max(prior.mu + 4.0 * prior.sigma, *(log + 4.0 * width for log in logs)),
    )
    prior_scale, scale = 1.0 / (prior.sigma * math.sqrt(2.0)), 1.0 / (width * math.sqrt(2.0))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        above = _PRIOR_WEIGHT * math.erfc((middle - prior.mu) * prior_scale)
        above += sum([math.erfc((middle - log) * scale) for log in logs])
        low, high = (middle, high) if above > wanted else (low, middle)
    return high


@functools.lru_cache(maxsize=256)
def create_times(samples: tuple[tuple[str, tuple[int, ...]], ...]) -> Mapping[str, CreateTime]:
    """Return each deployment's create time. The samples of the account's other deployments give its prior.

    `samples`: names, and the measured seconds.
    """
    times = {}
    for name, own in samples:
        others = [seconds for other, theirs in samples if other != name for seconds in theirs]
        times[name] = learned(own, learned(others[-MOST_SAMPLES:]))
    return times


def with_sample(samples: Sequence[int], seconds: float) -> tuple[int, ...]:
    """Return the latest samples, with one more."""
    return (*samples, round(seconds))[-MOST_SAMPLES:]


def begins(starts: Mapping[str, datetime], times: Mapping[str, CreateTime]) -> dict[str, datetime]:
    """Return when the create for each window must begin, so that the deployment is ready at its start.

    Writes on an account run one after another: a create also begins early enough for the creates behind it.
    """
    found: dict[str, datetime] = {}
    following: datetime | None = None
    for name in sorted(starts, key=lambda name: (starts[name], name), reverse=True):
        begin = starts[name] - times[name].quantile(LEAD_SHARE)
        if following is not None:
            begin = min(begin, following - times[name].mean())
        found[name] = following = begin
    return found
