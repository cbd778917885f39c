"""The throttle of Azure Resource Manager, by subscription and principal."""

import hashlib
import math
from datetime import datetime

from aiohttp import web

from local.emulator.faults import ArmOperation
from local.emulator.specification import ArmError

# The size of the token bucket, and the calls refilled per second.
_BUCKETS = {"reads": (250, 25.0), "writes": (200, 10.0), "deletes": (200, 10.0)}
_BUCKET_OF: dict[ArmOperation, str] = {"put": "writes", "delete": "deletes"}  # all others are reads


class TokenBucket:
    """A bucket of `size` calls, refilled by `per_second`."""

    def __init__(self, size: int, per_second: float) -> None:
        self._size = size
        self._per_second = per_second
        self._level = float(size)
        self._filled: datetime | None = None

    def take(self, now: datetime) -> int:
        """Take one call; return 0, or the whole seconds to wait if the bucket is empty."""
        if self._filled is not None:
            gained = (now - self._filled).total_seconds() * self._per_second
            self._level = min(self._size, self._level + gained)
        self._filled = now
        if self._level < 1:
            return math.ceil((1 - self._level) / self._per_second)
        self._level -= 1
        return 0

    @property
    def remaining(self) -> int:
        return int(self._level)


class Throttle:
    """The buckets of all callers."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[str, str, str], TokenBucket] = {}

    def admit(self, request: web.Request, now: datetime, operation: ArmOperation) -> dict[str, str]:
        """Check the bearer token, the api-version and the throttle; return the throttle's headers.

        Raises ArmError.
        """
        caller = principal(request)
        if not request.query.get("api-version"):
            raise ArmError(
                400,
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.",
            )
        subscription, kind = request.match_info["subscription"].lower(), _BUCKET_OF.get(operation, "reads")
        bucket = self._buckets.setdefault((subscription, caller, kind), TokenBucket(*_BUCKETS[kind]))
        wait = bucket.take(now)
        if wait:
            raise ArmError(
                429,
                "TooManyRequests",
                f"Number of {kind} for subscription '{subscription}' exceeded the limit. "
                f"Please try again after '{wait}' seconds.",
                {"Retry-After": str(wait)},
            )
        return {f"x-ms-ratelimit-remaining-subscription-{kind}": str(bucket.remaining)}


def principal(request: web.Request) -> str:
    """Return an identifier of the caller: a hash, as the token must be neither stored nor shown."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise ArmError(
            401, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing."
        )
    return hashlib.sha256(token.encode()).hexdigest()[:12]
