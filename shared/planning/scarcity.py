"""Whether the capacity of a deployment could be lost by its delete (keep_if_scarce)."""

from __future__ import annotations

from shared.model import AzureDeployment, DeploymentConfig, DeploymentRecord, Prices, RecordState

_STANDS = (RecordState.CREATING, RecordState.OPEN, RecordState.CLOSING)


def why_kept(
    config: DeploymentConfig,
    record: DeploymentRecord,
    azure: AzureDeployment | None,
    left: float | str,
    prices: Prices,
) -> str:
    """Why a deployment of ours stays although nothing needs it; empty if it may go.

    `left`: thousands of tokens per minute that the region has left for its model and SKU, besides what it has
    itself, or why that is not known, on which nothing is deleted.
    """
    if not config.keep_if_scarce or azure is None or record.state not in _STANDS:
        return ""
    if isinstance(left, str):
        what = f"what the region has left is not known ({left})"
    elif left >= azure.capacity:
        return ""
    else:
        what = f"the region has less left than the {azure.capacity}K that it would give back"
    price = f"{prices.hosting_per_hour.get(azure.sku, 0.0):.2f} {prices.currency} an hour"
    return f"nothing needs it, and {what}: kept at {price} (keep_if_scarce)"


def base_model(name: str) -> tuple[str, str] | None:
    """The base model's name and version of a fine-tuned one; None if its name does not say.

    gpt-4.1-mini-2025-04-14.ft-0e2c is of gpt-4.1-mini, version 2025-04-14; gpt-35-turbo-0125.ft-0e2c of 0125.
    """
    base, _, tuned = name.partition(".ft-")
    parts = base.split("-")
    for count in (3, 1):
        model, version = "-".join(parts[:-count]), parts[-count:]
        digits = [len(each) for each in version if each.isdecimal()]
        if tuned and model and digits in ([4, 2, 2], [4]) and len(digits) == len(version):
            return model, "-".join(version)
    return None
