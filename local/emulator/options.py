"""The settings of one emulator."""

import re
from dataclasses import dataclass, field
from typing import Literal

SerialiseUntil = Literal["terminal", "accepted"]
BillingUnit = Literal["second", "minute", "hour"]
BillingStarts = Literal["create", "ready"]
WindowKind = Literal["fixed", "sliding"]
RefusedRequests = Literal["counted", "free"]
ContextSize = Literal["present", "absent"]
LimitHeaders = Literal["present", "absent", "wrong"]

SUBDOMAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{1,63}")
_RESOURCE_ID = re.compile(
    r"/subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<group>[^/]+)"
    rf"/providers/Microsoft\.CognitiveServices/accounts/(?P<name>{SUBDOMAIN.pattern})",
    re.IGNORECASE,
)
RESERVED_NAMES = frozenset({"emulator", "subscriptions", "topics"})


@dataclass(frozen=True)
class Account:
    """A Microsoft.CognitiveServices account: the parts of its resource id."""

    subscription: str
    group: str
    name: str

    @classmethod
    def parse(cls, resource_id: str) -> "Account":
        """Parse the ARM resource id of an account. Raises ValueError for anything else."""
        match = _RESOURCE_ID.fullmatch(resource_id)
        if match is None:
            raise ValueError(
                f"'{resource_id}' is not the resource id of an account: it should read /subscriptions/ID/"
                "resourceGroups/GROUP/providers/Microsoft.CognitiveServices/accounts/NAME"
            )
        if match["name"].lower() in RESERVED_NAMES:
            raise ValueError(
                f"an account cannot be named '{match['name']}' here: the emulator uses that path"
            )
        return cls(match["subscription"], match["group"], match["name"])

    @property
    def resource_id(self) -> str:
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"
            f"/providers/Microsoft.CognitiveServices/accounts/{self.name}"
        )

    @property
    def key(self) -> str:
        """Return the resource id in lower case, as resource ids are case-insensitive."""
        return self.resource_id.lower()


@dataclass(frozen=True)
class LimitRules:
    """How the limits of a deployment are counted. Azure documents the defaults, or leaves them open.

    `request_window`, `token_window`: 1, 10 or 60 s, over which the limits hold as well as over a minute.
    `minute_seconds`: how long a minute of the limits lasts; the shorter windows are scaled alike.
    """

    request_window: int = 10
    token_window: int = 60
    window: WindowKind = "fixed"
    refused: RefusedRequests = "counted"
    minute_seconds: float = 60.0


@dataclass(frozen=True)
class Options:
    """Settings of one emulator: durations in seconds, capacity in thousands of tokens per minute,
    prices in dollars.

    The defaults of provisioning are assumptions, as Azure documents no times: median 5 minutes, 95th
    percentile 15. Raises ValueError with the name of the setting for an invalid value.
    """

    accounts: tuple[str, ...]
    port: int = 0
    seed: int = 0
    provision_median: float = 300.0
    provision_p95: float = 900.0
    delete_seconds: float = 5.0
    warmup_seconds: float = 10.0
    serialise_until: SerialiseUntil = "terminal"
    quota: int = 10_000
    slots: int = 10
    page_size: int = 1000
    latency_seconds: float = 0.2
    latency_p95: float | None = None
    context_tokens: int = 128_000
    context_size: ContextSize = "present"
    request_window: int = LimitRules.request_window
    token_window: int = LimitRules.token_window
    limit_window: WindowKind = LimitRules.window
    refused_requests: RefusedRequests = LimitRules.refused
    limit_headers: LimitHeaders = "present"
    minute_seconds: float = LimitRules.minute_seconds
    hosting_price: float = 1.70
    billing_unit: BillingUnit = "minute"
    billing_starts: BillingStarts = "create"
    upstream: str | None = None
    upstream_model: str | None = None
    upstream_key: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not self.accounts:
            raise ValueError("no account: give the resource id of at least one (--account)")
        names = [Account.parse(resource_id).name.lower() for resource_id in self.accounts]
        if len(set(names)) < len(names):
            raise ValueError("two accounts share a name: it is part of the endpoint, so Azure allows it once")
        # The comparison is negated so that NaN is refused as well.
        if not (
            0 < self.provision_median <= self.provision_p95
            or self.provision_median == self.provision_p95 == 0
        ):
            raise ValueError(
                "the median of provisioning must be above 0 (or both 0) and its p95 not below it"
            )
        for name in ("delete_seconds", "warmup_seconds", "latency_seconds", "hosting_price"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative")
        for name in ("quota", "slots", "page_size", "context_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        if not 0 <= self.port <= 65_535:
            raise ValueError("port must lie between 0, which takes a free one, and 65535")
        for name in ("request_window", "token_window"):
            if getattr(self, name) not in (1, 10, 60):
                raise ValueError(f"{name} is 1, 10 or 60 seconds: Azure documents no other")
        if not self.minute_seconds > 0:
            raise ValueError("minute_seconds must be above 0")
        if self.latency_p95 is not None and not 0 < self.latency_seconds <= self.latency_p95:
            raise ValueError("latency_seconds must be above 0 and latency_p95 not below it")
        if (self.upstream is None) != (self.upstream_model is None):
            raise ValueError("upstream and upstream_model belong together: give both, or neither")

    @property
    def limit_rules(self) -> LimitRules:
        """Return how limits are counted."""
        return LimitRules(
            self.request_window,
            self.token_window,
            self.limit_window,
            self.refused_requests,
            self.minute_seconds,
        )
