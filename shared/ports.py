"""The protocols that adapters fulfil. Each method says whether repeating it is safe.

The in-memory fakes of the tests and the real adapters pass the same contract suite (`tests/contract`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.model import AzureDeployment, Demand, DeploymentSpec, ModelAnswer, ModelRequest

Value = str | int | float | bool | datetime


class Clock(Protocol):
    """Time for what runs longer than an instant. Planning never sees it: it takes `now`."""

    def now(self) -> datetime:
        """The present, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never jumps; deadlines are counted on it."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""
        ...


# --- tables -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A table row. `written_at` is the server's own time of its last change."""

    key: str
    values: Mapping[str, Value]
    etag: str
    written_at: datetime


@dataclass(frozen=True)
class Page:
    """Rows in key order, whether more follow, and the server's time of the answer."""

    rows: tuple[Row, ...]
    more: bool
    server_time: datetime


@dataclass(frozen=True)
class Insert:
    """Write a row that must not exist yet."""

    key: str
    values: Mapping[str, Value]


@dataclass(frozen=True)
class Replace:
    """Write a row: over that version of it if an ETag is named, else whatever is there."""

    key: str
    values: Mapping[str, Value]
    etag: str | None


@dataclass(frozen=True)
class Remove:
    """Delete that version of a row."""

    key: str
    etag: str


class Tables(Protocol):
    """Rows in partitions. Tables come into being on first use. Every call ends within seconds."""

    async def get(self, table: str, partition: str, key: str) -> Row | None:
        """One row. Safe to repeat."""
        ...

    async def page(self, table: str, partition: str, start: str, stop: str, limit: int) -> Page:
        """Rows with start <= key < stop, in key order, at most `limit`. Safe to repeat."""
        ...

    async def write(
        self, table: str, partition: str, changes: Sequence[Insert | Replace | Remove]
    ) -> tuple[str, ...]:
        """All of the changes or none (at most 100, of one partition); the new ETags, empty for a Remove.

        Not safe to repeat blindly: a repetition of what has happened raises.
        Raises AlreadyExists for an Insert, Changed for a stale Replace or Remove.
        """
        ...


# --- blobs --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BlobItem:
    """A blob as it stands: name in its container, ETag, bytes, server time of its last change.

    `is_folder`: its metadata (hdi_isfolder) or the storage say that it stands for a folder. `archived`: it
    lies in the access tier Archive, also while it is being rehydrated, and can be neither read nor copied.
    """

    name: str
    etag: str
    size: int
    modified_at: datetime
    is_folder: bool = False
    archived: bool = False


@dataclass(frozen=True)
class BlobPage:
    """Blobs in name order, and the token with which the listing goes on."""

    items: tuple[BlobItem, ...]
    token: str | None


class Blobs(Protocol):
    """Blobs in containers. Containers come into being on first list, create, copy or lease.

    Every call ends within seconds (a read: each part of it). Raises StorageError, whose `code` is Azure's.
    """

    async def list(self, container: str, token: str | None, limit: int) -> BlobPage:
        """A page of the container from `token` on. Safe to repeat."""
        ...

    async def stat(self, container: str, name: str) -> BlobItem | None:
        """What stands there. Safe to repeat. Raises ContainerMissing."""
        ...

    async def read(self, container: str, name: str, etag: str | None = None) -> bytes:
        """The content, of that version if an ETag is named. Safe to repeat.

        Raises Missing, Changed, ContainerMissing, BlobRefused.
        """
        ...

    async def create(self, container: str, name: str, data: bytes, content_type: str) -> str:
        """Write a blob that must not exist yet and return its ETag. A repetition raises AlreadyExists.

        AlreadyExists says that a blob is there, not whose: look at it.
        """
        ...

    async def copy(self, container: str, name: str, etag: str, to_container: str, to_name: str) -> None:
        """Copy that version, overwriting. Safe to repeat.

        Raises Missing, Changed, ContainerMissing, BlobRefused (the source, or what stands at the target).
        """
        ...

    async def delete(self, container: str, name: str, etag: str) -> bool:
        """Delete that version; False if it is gone, another, or leased. Safe to repeat.

        Raises BlobRefused.
        """
        ...

    async def acquire_lease(self, container: str, name: str, seconds: int) -> str | None:
        """Lease a blob (made if absent) and return the lease's id; None if somebody holds it."""
        ...

    async def renew_lease(self, container: str, name: str, lease: str) -> bool:
        """Hold it for its duration again; False if it was lost. Safe to repeat."""
        ...

    async def release_lease(self, container: str, name: str, lease: str) -> None:
        """Let it go. Safe to repeat; a lease that was lost is no error."""
        ...


# --- Azure Resource Manager and the model -------------------------------------------------------


class Arm(Protocol):
    """Deployments of an account. `account` is its resource id, `timeout` seconds. No method retries.

    Every method raises ArmConflict, ArmRefused or ArmUncertain.
    """

    async def endpoint(self, account: str, *, timeout: float) -> str:
        """The account's data plane URL, ending in a slash. Safe to repeat."""
        ...

    async def deployments(self, account: str, *, timeout: float) -> Mapping[str, AzureDeployment]:
        """All deployments of the account by name, in one LIST. Safe to repeat."""
        ...

    async def put(self, account: str, spec: DeploymentSpec, *, timeout: float) -> AzureDeployment:
        """Create or update; returns what Azure answered at once, usually Accepted. Safe to repeat."""
        ...

    async def delete(self, account: str, deployment: str, *, timeout: float) -> None:
        """Have it deleted; returns when Azure accepted it. Safe to repeat: absent is no error."""
        ...

    async def capacities(
        self, account: str, model: str, version: str, *, timeout: float
    ) -> Mapping[str, float]:
        """What the account's region has left for fine-tuned versions of a base model, by SKU.

        In thousands of tokens per minute. Azure calls it advisory. Safe to repeat.
        """
        ...


@dataclass(frozen=True)
class Offer:
    """A SKU on which an account may deploy a model, and the quota that it draws on."""

    model: str
    version: str
    sku: str
    quota: str  # its name in `Catalogue.quotas`; empty if none is told
    lifecycle: str = ""  # Azure's word for the model's age, such as Deprecated; empty if none is told
    retires_at: datetime | None = None  # the model answers nobody from then on, if that is told


@dataclass(frozen=True)
class Quota:
    """Of a subscription in a region; for models in thousands of tokens per minute."""

    used: float
    limit: float


class Catalogue(Protocol):
    """What an account offers. Asked by people who set it up, never by a pass. No method retries.

    Safe to repeat. Raises ArmConflict, ArmUncertain, and ArmRefused also where the identity may not ask.
    """

    async def offers(self, account: str, *, timeout: float) -> Sequence[Offer]:
        """Every model and SKU that the account may deploy."""
        ...

    async def quotas(self, account: str, *, timeout: float) -> Mapping[str, Quota]:
        """Every quota of the account's subscription in its region, by name."""
        ...


class Model(Protocol):
    """The data plane."""

    async def ask(
        self, endpoint: str, deployment: str, request: ModelRequest, *, timeout: float
    ) -> ModelAnswer:
        """One request, no retry, at most `timeout` seconds. Repeating it costs tokens again.

        Raises RateLimited, ModelUnavailable, DeploymentNotFound, ServiceRefused (or its AccessDenied),
        RequestRefused.
        """
        ...


class Backlog(Protocol):
    """What the control loop may know of documents."""

    async def demand(self, deployment: str) -> Demand:
        """The unfinished documents of a deployment, one page. Safe to repeat."""
        ...
