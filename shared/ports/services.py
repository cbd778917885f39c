"""The model, receivers of events, and what the control loop asks of the backlog."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from shared.model import (
    BatchRequest,
    Demand,
    Embedded,
    ModelAnswer,
    ModelRequest,
    Receiver,
    Response,
)


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

    async def complete(
        self, endpoint: str, deployment: str, request: BatchRequest, *, timeout: float
    ) -> Response:
        """Send a request of a Batch file as it is, without retries. Repeating it costs tokens again.

        Returns the service's refusal, too, if the request itself is to blame for it. Raises what `ask`
        raises for all other refusals.
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
