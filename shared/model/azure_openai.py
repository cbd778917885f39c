"""The names and units of a specification, as Azure OpenAI defines them.

Only `DeploymentSpec`, settings and the provider use this; planning asks the specification.
"""

from __future__ import annotations

from datetime import timedelta

DEVELOPER_TIER, DEVELOPER_TIER_LIFE = "DeveloperTier", timedelta(hours=24)
"""Azure deletes such a deployment at that age, even while it answers requests."""
TOKENS_PER_UNIT, REQUESTS_PER_UNIT = 1000, 1
"""The tokens and requests per minute that a unit of capacity admits, if Azure shows no rate limits."""


def is_fine_tuned(model_name: str) -> bool:
    """Return whether a deployed model takes one of the account's slots for fine-tuned models."""
    return ".ft-" in model_name or model_name.startswith("ftchkpt-")


def base_model(name: str) -> tuple[str, str] | None:
    """Return the base model's name and version of a fine-tuned one; None if its name does not say.

    gpt-4.1-mini-2025-04-14.ft-0e2c is of gpt-4.1-mini, version 2025-04-14; gpt-35-turbo-0125.ft-0e2c of 0125.
    """
    base, _, tuned = name.partition(".ft-")
    parts = base.split("-")
    for count in (3, 1):
        model, version = "-".join(parts[:-count]), parts[-count:]
        digits = [len(part) for part in version if part.isdecimal()]
        if tuned and model and digits in ([4, 2, 2], [4]) and len(digits) == len(version):
            return model, "-".join(version)
    return None


def longest_life(sku: str) -> timedelta | None:
    """Return the age at which Azure deletes a deployment of this SKU; None: never."""
    return DEVELOPER_TIER_LIFE if sku == DEVELOPER_TIER else None
