"""The rate limit headers of the data plane: as Azure sends them, none, or nonsense."""

import itertools
import math
from collections.abc import Callable, Mapping

from local.emulator.limits import Verdict
from local.emulator.options import LimitHeaders

# What public reports, proxies and gateways have shown in the place of a number.
_NONSENSE = (
    {"x-ratelimit-remaining-tokens": "-1", "x-ratelimit-limit-tokens": "0", "retry-after": "86400"},
    {"x-ratelimit-remaining-requests": "-1", "x-ratelimit-reset-tokens": "-5", "retry-after": "-1"},
    {"x-ratelimit-remaining-tokens": "NaN", "retry-after": "soon", "retry-after-ms": "Infinity"},
    {"x-ratelimit-remaining-tokens": "99999999999", "retry-after": "0", "retry-after-ms": "0"},
)
Headers = Mapping[str, str]


def limit_headers(verdict: Verdict) -> Headers:
    """Return Azure's rate limit headers, which successful answers have too; resets in whole seconds."""
    headers = {
        "x-ratelimit-limit-requests": str(verdict.limit_requests),
        "x-ratelimit-remaining-requests": str(verdict.remaining_requests),
        "x-ratelimit-reset-requests": str(math.ceil(verdict.reset_requests)),
        "x-ratelimit-limit-tokens": str(verdict.limit_tokens),
        "x-ratelimit-remaining-tokens": str(verdict.remaining_tokens),
        "x-ratelimit-reset-tokens": str(math.ceil(verdict.reset_tokens)),
    }
    if verdict.exceeded is not None:
        headers["retry-after"] = str(math.ceil(verdict.retry_after))
        headers["retry-after-ms"] = str(math.ceil(verdict.retry_after * 1000))
    return headers


def headers_of(style: LimitHeaders) -> Callable[[Verdict], Headers]:
    """Return a function from a verdict to its headers. Nonsense takes turns."""
    if style == "present":
        return limit_headers
    if style == "absent":
        return lambda _: {}
    nonsense = itertools.cycle(_NONSENSE)
    return lambda _: next(nonsense)
