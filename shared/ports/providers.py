"""Where models are hosted, and what is offered there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.model import DeploymentSpec, Hosted


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
