"""Ask a deployment whether it serves: Azure says Succeeded minutes before a deployment answers requests."""

from __future__ import annotations

from shared.errors import ModelError, RateLimited, RequestRefused
from shared.model import TINY
from shared.ports import Model


async def probe(model: Model, endpoint: str, deployment: str, *, timeout: float) -> None:
    """Send the cheapest request. Raises ModelError unless the outcome proves that the deployment serves."""
    try:
        await model.ask(endpoint, deployment, TINY, timeout=timeout)
    except ModelError as error:
        if not _proves_it_serves(error):
            raise


def _proves_it_serves(error: ModelError) -> bool:
    """Return whether an error comes from the deployment itself, which limits or refuses requests.

    A reasoning model answers a request with so few tokens with 400.
    """
    return isinstance(error, RateLimited | RequestRefused) or error.status in (400, 429)
