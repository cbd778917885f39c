"""Check whether the delete of a deployment could lose its capacity (keep_if_scarce)."""

from __future__ import annotations

from shared.model import DeploymentConfig, DeploymentRecord, Hosted, Prices, RecordState

_UP = (RecordState.CREATING, RecordState.OPEN, RecordState.CLOSING)


def why_kept(
    config: DeploymentConfig,
    record: DeploymentRecord,
    azure: Hosted | None,
    left: float | str,
    prices: Prices,
) -> str:
    """Return why a deployment of ours stays although nothing needs it; empty if it may be deleted.

    `left`: thousands of tokens per minute that the region has left for its model and SKU, without its own
    capacity; or why that is unknown. While it is unknown, the deployment stays.
    """
    if not config.keep_if_scarce or azure is None or record.state not in _UP:
        return ""
    if isinstance(left, str):
        what = f"what the region has left is not known ({left})"
    elif left >= azure.spec.capacity:
        return ""
    else:
        what = f"the region has less left than the {azure.spec.capacity}K that it would give back"
    price = f"{prices.hosting_per_hour.get(azure.spec.sku, 0.0):.2f} {prices.currency} an hour"
    return f"nothing needs it, and {what}: kept at {price} (keep_if_scarce)"
