"""Define the protocols that adapters implement. Every method states whether it is safe to repeat.

The in-memory fakes of the tests and the real adapters pass the same contract suite (`tests/contract`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.model import Demand, DeploymentSpec, Embedded, Hosted, ModelAnswer, ModelRequest, Receiver

Value = str | int | float | bool | datetime


class Clock(Protocol):
    """Time for code that runs longer than an instant. Planning never uses it: it takes `now`."""

    def now(self) -> datetime:
        """Return the present time: aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a clock that never jumps. Deadlines use it."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        ...


# --- tables -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A table row. `written_at` is the server's time of its last change."""

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
class Keys:
    """Keys of rows in their order, and whether more follow."""

    keys: tuple[str, ...]
    more: bool


@dataclass(frozen=True)
class Insert:
    """Write a row that must not exist yet."""

    key: str
    values: Mapping[str, Value]


@dataclass(frozen=True)
class Replace:
    """Write a row: replace that version of it if an ETag is named, else any version or none."""

    key: str
    values: Mapping[str, Value]
    etag: str | None


@dataclass(frozen=True)
class Remove:
    """Delete that version of a row."""

    key: str
    etag: str


class Tables(Protocol):
    """Rows in partitions. The first use creates a table. Every call ends within seconds.

    Every method may raise StorageError.
    """

    async def get(self, table: str, partition: str, key: str) -> Row | None:
        """Return one row, or None. Safe to repeat."""
        ...

    async def page(self, table: str, partition: str, start: str, stop: str, limit: int) -> Page:
        """Return rows with start <= key < stop, in key order, at most `limit`. Safe to repeat."""
        ...

    async def keys(self, table: str, partition: str, start: str, stop: str, limit: int) -> Keys:
        """Return the keys of the rows of `page`, for a sixth of its CPU time. Safe to repeat."""
        ...

    async def write(
        self, table: str, partition: str, changes: Sequence[Insert | Replace | Remove]
    ) -> tuple[str, ...]:
        """Make all changes or none (at most 100, in one partition). Return the new ETags, empty for a Remove.

        Not safe to repeat: repeating a write that took effect raises.
        Raises AlreadyExists for an Insert, Changed for a stale Replace or Remove.
        """
        ...


# --- blobs --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BlobItem:
    """The properties of a blob: name in its container, ETag, size in bytes, server time of its last change.

    `is_folder`: its metadata (hdi_isfolder) or the storage mark it as a folder. `archived`: it is in the
    access tier Archive, also while it is being rehydrated, and can be neither read nor copied.
    """

    name: str
    etag: str
    size: int
    modified_at: datetime
    is_folder: bool = False
    archived: bool = False


@dataclass(frozen=True)
class BlobPage:
    """Blobs in name order, and the token that continues the listing."""

    items: tuple[BlobItem, ...]
    token: str | None


class Blobs(Protocol):
    """Blobs in containers. The first list, create, copy or lease creates a container.

    Every call ends within seconds (of a read, every part). Raises StorageError, whose `code` is Azure's.
    """

    async def list(self, container: str, token: str | None, limit: int) -> BlobPage:
        """Return a page of at most `limit` blobs from `token` on. Safe to repeat."""
        ...

    async def stat(self, container: str, name: str) -> BlobItem | None:
        """Return a blob's properties, or None. Safe to repeat. Raises ContainerMissing."""
        ...

    async def read(self, container: str, name: str, etag: str | None = None) -> bytes:
        """Return the content, of that version if an ETag is named. Safe to repeat.

        Raises Missing, Changed, ContainerMissing, BlobRefused.
        """
        ...

    async def create(self, container: str, name: str, data: bytes, content_type: str) -> str:
        """Write a blob that must not exist yet and return its ETag. A repetition raises AlreadyExists.

        AlreadyExists means that a blob exists, not whose it is: read it to know.
        """
        ...

    async def copy(self, container: str, name: str, etag: str, to_container: str, to_name: str) -> None:
        """Copy that version and overwrite the target. Safe to repeat.

        Raises Missing, Changed, ContainerMissing, BlobRefused (for the source or the target).
        """
        ...

    async def delete(self, container: str, name: str, etag: str) -> bool:
        """Delete that version; False if it does not exist, has changed, or is leased. Safe to repeat.

        Raises BlobRefused.
        """
        ...

    async def acquire_lease(self, container: str, name: str, seconds: int) -> str | None:
        """Lease a blob (created if absent) and return the lease's id; None if another holder has it."""
        ...

    async def renew_lease(self, container: str, name: str, lease: str) -> bool:
        """Renew a lease for its duration; False if it was lost. Safe to repeat."""
        ...

    async def release_lease(self, container: str, name: str, lease: str) -> None:
        """Release a lease. Safe to repeat; a lost lease is no error."""
        ...


# --- the providers and the model ----------------------------------------------------------------


class Provider(Protocol):
    """One way to host models. `account`: where, by its resource id; `timeout`: seconds. No method retries.

    Every method but `probe` raises ProviderBusy, ProviderRefused or OutcomeUnknown.
    """

    async def endpoint(self, account: str, *, timeout: float) -> str:
        """Return the account's data plane URL, ending in a slash. Safe to repeat."""
        ...

    async def deployments(self, account: str, *, timeout: float) -> Mapping[str, Hosted]:
        """Return all deployments of the account by name, in one LIST. Safe to repeat.

        See Note: LISTs are late in docs/design.md.
        """
        ...

    async def put(self, account: str, spec: DeploymentSpec, *, timeout: float) -> Hosted:
        """Create or update a deployment; return the provider's first answer. Safe to repeat.

        Raises CapacityRefused if less capacity may be granted.
        """
        ...

    async def delete(self, account: str, deployment: str, *, timeout: float) -> None:
        """Delete a deployment; return when that is accepted. Safe to repeat: absence is no error."""
        ...

    async def capacity_left(self, account: str, spec: DeploymentSpec, *, timeout: float) -> float:
        """Return the capacity that is left where the account is, for this model and SKU. Safe to repeat.

        In the unit of `DeploymentSpec.capacity`. Azure calls it advisory. Raises CapacityUnknown.
        """
        ...

    async def probe(self, endpoint: str, deployment: str, *, timeout: float) -> None:
        """Send the cheapest request that shows whether a deployment serves. Repeating it costs tokens again.

        Raises ModelError unless the outcome proves that it does.
        """
        ...


@dataclass(frozen=True)
class Offer:
    """A SKU on which an account may deploy a model, and the quota that it draws on."""

    model: str
    version: str
    sku: str
    quota: str  # its name in `Catalogue.quotas`; empty if Azure gives none
    lifecycle: str = ""  # Azure's lifecycle status of the model, such as Deprecated; empty if there is none
    retires_at: datetime | None = None  # the model answers no request from then on; None if not known
    context_tokens: int | None = None  # of one request with its answer; None if not known
    max_output_tokens: int | None = None  # of an answer; None if not known


@dataclass(frozen=True)
class Quota:
    """A quota of a subscription in a region: used and limit; of models in thousands of tokens per minute."""

    used: float
    limit: float


class Catalogue(Protocol):
    """The models and quotas that an account offers. For people's commands, never for a pass.

    No method retries. Safe to repeat. Raises ProviderError: ProviderRefused if the identity lacks the right.
    """

    async def offers(self, account: str, *, timeout: float) -> Sequence[Offer]:
        """Return every model and SKU that the account may deploy."""
        ...

    async def quotas(self, account: str, *, timeout: float) -> Mapping[str, Quota]:
        """Return every quota of the account's subscription in its region, by name."""
        ...


class Model(Protocol):
    """The data plane of the deployments."""

    async def ask(
        self, endpoint: str, deployment: str, request: ModelRequest, *, timeout: float
    ) -> ModelAnswer:
        """Send one request without retries, for at most `timeout` seconds. Repeating it costs tokens again.

        Raises RateLimited, ModelUnavailable, DeploymentNotFound, ServiceRefused (or its AccessDenied),
        RequestRefused.
        """
        ...

    async def embed(
        self, endpoint: str, deployment: str, texts: Sequence[str], *, timeout: float
    ) -> Embedded:
        """Return the embeddings of texts, none empty, without retries. Repeating it costs tokens again.

        Azure takes 2,048 texts and 300,000 tokens at most, and 8,191 of each text. Raises what `ask` raises.
        """
        ...


class Sender(Protocol):
    """Sends events to receivers."""

    async def send(self, receiver: Receiver, event: str, *, timeout: float) -> None:
        """Send one event, a CloudEvent in JSON, without retries, for at most `timeout` seconds.

        Repeating it delivers it again, with the same id. Raises ReceiverUnavailable, EventRefused.
        """
        ...


class Backlog(Protocol):
    """The part of the document ledger that the control loop uses."""

    async def demand(self, deployment: str) -> Demand:
        """Count the unfinished documents of a deployment, at most one page. Safe to repeat."""
        ...
