"""Define every time limit of the fence, the leases and the quarantine in one checked value.

The limits belong together: a request must end within its work lease, a pass within its account's lease. So
a `Timing` holds them all, and refuses limits with which a protocol would not be safe.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

_SHORTEST_BLOB_LEASE, _LONGEST_BLOB_LEASE = 15, 60  # seconds; Azure: Lease Blob, x-ms-lease-duration


@dataclass(frozen=True)
class Timing:
    """Limits named in seconds count on a monotonic clock or bound a call; the others lie between instants.

    Raises ValueError for limits whose order breaks a protocol.
    """

    # A worker: its lease on a deployment, and what must fit into it.
    request_seconds: float = 120.0  # the longest request to the model
    bookkeeping_seconds: float = 40.0  # for storing an answer and settling its document within the claim
    work_lease_seconds: float = 240.0  # the life of a work lease without renewal, and of a claim
    session_margin: timedelta = timedelta(minutes=10)  # no request ends later than this before `delete-after`

    # A pass: its lease on an account, and what must fit into that.
    blob_lease_seconds: int = 60  # an account's lease, which is never renewed, and a drainer's, which is
    pass_seconds: float = 40.0  # a pass starts nothing after this
    pass_limit_seconds: float = 56.0  # a pass is cancelled after this
    arm_seconds: float = 15.0  # the longest call to Azure Resource Manager; a write needs so much time left
    probe_seconds: float = 10.0  # the longest request that checks whether a deployment answers

    # How late Azure may show a change, or make it.
    settle: timedelta = timedelta(minutes=1)  # a LIST usually shows a write of ours after this
    list_lag: timedelta = timedelta(minutes=5)  # a LIST may show a state that is so old, or miss an entry
    quarantine: timedelta = timedelta(minutes=2)  # a write of unknown outcome may take effect this late
    clock_skew: timedelta = timedelta(minutes=2)  # between Azure's clocks and ours
    doubt: timedelta = timedelta(minutes=30)  # an account is read every minute for so long after a change
    after_delete: timedelta = timedelta(seconds=20)  # Azure wants 15 to 20 s between a delete and a create

    # When to give up on a deployment, and how soon to try again. Some deployments report Succeeded and never
    # answer until they are created again (field reports). With the pass that notices it, the requests in
    # flight and the delete, hosting without an answer stays below 15 minutes.
    ready_limit: timedelta = timedelta(minutes=12)  # Azure reports Succeeded, and it has never answered
    answer_limit: timedelta = timedelta(minutes=8)  # it is hosted for documents, and answers none of them
    silent_limit: timedelta = timedelta(minutes=5)  # it was open, and its requests now get 404
    first_backoff: timedelta = timedelta(seconds=30)  # after the first failure of a create or of a document
    poll_seconds: float = 5.0  # between checks while a deployment is being created

    def __post_init__(self) -> None:
        for less, more, why in self._order():
            if not self._sum(less) < self._sum(more):
                raise ValueError(
                    f"{less} ({self._sum(less):g} s) must be less than {more} ({self._sum(more):g} s): {why}"
                )
        if not _SHORTEST_BLOB_LEASE <= self.blob_lease_seconds <= _LONGEST_BLOB_LEASE:
            raise ValueError(
                f"blob_lease_seconds is {self.blob_lease_seconds}: Azure leases a blob for "
                f"{_SHORTEST_BLOB_LEASE} to {_LONGEST_BLOB_LEASE} s"
            )

    @property
    def work_renewal_seconds(self) -> float:
        """Return the time between renewals of a work lease."""
        return self.work_lease_seconds / 3

    @property
    def blob_renewal_seconds(self) -> float:
        """Return the time between renewals of a drainer's lease."""
        return self.blob_lease_seconds / 3

    def _order(self) -> Iterator[tuple[str, str, str]]:
        """Yield what must be less, than what, and why; sums are names joined by a plus."""
        yield (
            "request_seconds + bookkeeping_seconds",
            "work_lease_seconds",
            "a claim covers a request and the storing of its answer",
        )
        yield (
            "request_seconds + work_renewal_seconds",
            "work_lease_seconds",
            "a lease that is due for renewal still admits a request",
        )
        yield (
            "work_lease_seconds",
            "session_margin",
            "a worker that died must not hold up the delete until the hard deadline",
        )
        yield "probe_seconds", "pass_seconds", "a pass has time for a probe"
        yield "arm_seconds + arm_seconds", "pass_seconds", "a pass has time for a LIST and a write"
        yield "pass_seconds", "pass_limit_seconds", "a pass is given up only after it should have ended"
        yield (
            "pass_limit_seconds",
            "blob_lease_seconds",
            "a pass ends before another may have its account's lease",
        )
        yield (
            "pass_seconds + arm_seconds",
            "blob_lease_seconds",
            "a write ends before another pass may have the account's lease",
        )
        yield "arm_seconds", "quarantine", "a write's effect is waited for from before it was sent"
        yield "settle", "quarantine", "what was answered settles sooner than what was not"
        yield "settle", "list_lag", "a second witness shortens the wait for a late LIST"
        yield (
            "quarantine + settle + list_lag",
            "doubt",
            "an account is read every minute for as long as an effect may still appear",
        )

    def _sum(self, names: str) -> float:
        """Return the sum of the named limits in seconds."""
        limits = (getattr(self, name) for name in names.split(" + "))
        return sum(limit.total_seconds() if isinstance(limit, timedelta) else limit for limit in limits)


TIMING = Timing()
"""The limits of the deployed app."""
