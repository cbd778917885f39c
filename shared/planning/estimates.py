"""History → how long creating takes: from the create request to the first successful request.

Azure documents no provisioning time, so it is a distribution and never a constant: a lognormal one, from
what was measured and from a prior (median 5 minutes, 95th percentile 15) that counts as some samples.
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
_HALVINGS = 40  # of an interval of some ten: far below a millisecond
MOST_SAMPLES = 120  # the latest of a deployment: Azure changes
LEAD_SHARE = 0.95
"""The share of creations that are to be done when a window starts."""


@dataclass(frozen=True)
class CreateTime:
    """How long a create takes; `mu` and `sigma` are of the natural logarithm of its seconds."""

    mu: float
    sigma: float

    def quantile(self, share: float) -> timedelta:
        """In so many cases it takes no longer."""
        return _quantile(self.mu, self.sigma, share)

    def mean(self) -> timedelta:
        """What it takes on average."""
        return _mean(self.mu, self.sigma)

    def longer_than(self, span: timedelta) -> float:
        """The probability that it takes longer."""
        seconds = span.total_seconds()
        return 1.0 if seconds <= 0 else 1.0 - _NORMAL.cdf((math.log(seconds) - self.mu) / self.sigma)

    def excess(self, span: timedelta) -> timedelta:
        """By how much it takes longer, on average over all cases."""
        seconds = span.total_seconds()
        if seconds <= 0:
            return self.mean() - span
        z = (math.log(seconds) - self.mu) / self.sigma
        above = self.mean().total_seconds() * _NORMAL.cdf(self.sigma - z)
        return timedelta(seconds=max(0.0, above - seconds * _NORMAL.cdf(-z)))


# A year's preview asks for the same few thousands of times.


@functools.lru_cache(maxsize=4096)
def _quantile(mu: float, sigma: float, share: float) -> timedelta:
    return timedelta(seconds=math.exp(mu + sigma * _NORMAL.inv_cdf(share)))


@functools.lru_cache(maxsize=4096)
def _mean(mu: float, sigma: float) -> timedelta:
    return timedelta(seconds=math.exp(mu + sigma**2 / 2))


PRIOR = CreateTime(math.log(300.0), math.log(3.0) / _NORMAL.inv_cdf(0.95))


def learned(samples: Sequence[float], prior: CreateTime = PRIOR) -> CreateTime:
    """What seconds that were measured make of the prior.

    Where they disagree with it, the spread grows, so that few samples make nobody sure of himself. That alone
    would make one very quick create lengthen the lead, as a lognormal spreads to both sides. So its 95th
    percentile, from which leads are taken, is never above that of a mixture: the prior with its weight, and
    a bump around each sample. No bump is wider than the prior, so samples below the prior's median leave
    less than 5 % of the mixture above the prior's own percentile: quick creates never lengthen a lead. And a
    sample above the percentile raises it, in the mixture as in the lognormal: a slow create never shortens a
    lead, and one that is much slower lengthens it at once.
    """
    if not samples:
        return prior
    logs = [math.log(max(1.0, seconds)) for seconds in samples]
    count, mean = len(logs), fmean(logs)
    whole = _PRIOR_WEIGHT + count
    mu = (_PRIOR_WEIGHT * prior.mu + count * mean) / whole
    squares = _PRIOR_WEIGHT * prior.sigma**2 + sum((each - mean) ** 2 for each in logs)
    squares += _PRIOR_WEIGHT * count / whole * (mean - prior.mu) ** 2
    sigma = math.sqrt(squares / whole * (1 + 1 / whole))
    z = _NORMAL.inv_cdf(LEAD_SHARE)
    return CreateTime(
        mu, max(_NARROWEST, min(sigma, (_mixed(logs, min(_BUMP, prior.sigma), prior) - mu) / z))
    )


def _mixed(logs: Sequence[float], width: float, prior: CreateTime) -> float:
    """The logarithm below which LEAD_SHARE of the mixture lies, by bisection."""
    wanted = 2.0 * (1.0 - LEAD_SHARE) * (_PRIOR_WEIGHT + len(logs))
    low, high = (
        min(prior.mu, *logs),
        max(prior.mu + 4.0 * prior.sigma, *(each + 4.0 * width for each in logs)),
    )
    prior_scale, scale = 1.0 / (prior.sigma * math.sqrt(2.0)), 1.0 / (width * math.sqrt(2.0))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        above = _PRIOR_WEIGHT * math.erfc((middle - prior.mu) * prior_scale)
        above += sum([math.erfc((middle - each) * scale) for each in logs])
        low, high = (middle, high) if above > wanted else (low, middle)
    return high


@functools.lru_cache(maxsize=256)
def create_times(samples: tuple[tuple[str, tuple[int, ...]], ...]) -> Mapping[str, CreateTime]:
    """Each deployment's, where the others of its account stand in for what it has not measured itself.

    `samples`: names, and the seconds that were measured.
    """
    times = {}
    for name, own in samples:
        others = [seconds for other, theirs in samples if other != name for seconds in theirs]
        times[name] = learned(own, learned(others[-MOST_SAMPLES:]))
    return times


def with_sample(samples: Sequence[int], seconds: float) -> tuple[int, ...]:
    """The latest samples, with one more."""
    return (*samples, round(seconds))[-MOST_SAMPLES:]


def begins(starts: Mapping[str, datetime], times: Mapping[str, CreateTime]) -> dict[str, datetime]:
    """When each window's create has to begin, so that it is ready at its start.

    Writes serialise on an account: a create also begins early enough for those behind it.
    """
    found: dict[str, datetime] = {}
    following: datetime | None = None
    for name in sorted(starts, key=lambda name: (starts[name], name), reverse=True):
        begin = starts[name] - times[name].quantile(LEAD_SHARE)
        if following is not None:
            begin = min(begin, following - times[name].mean())
        found[name] = following = begin
    return found
