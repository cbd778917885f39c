"""Translate Azure's provisioning states into the planner's words."""

from __future__ import annotations

from shared.model import Observed

# Azure's words are extensible strings: a word that is not in this table is UNKNOWN.
_PROVISIONING_STATES = {
    "accepted": Observed.CREATING,
    "creating": Observed.CREATING,
    "succeeded": Observed.SUCCEEDED,
    "deleting": Observed.DELETING,
    "failed": Observed.FAILED,
    "canceled": Observed.FAILED,
    "disabled": Observed.FAILED,
    "moving": Observed.UNKNOWN,
}


def status_of(provisioning_state: str) -> Observed:
    """Return what a provisioning state means. Case does not matter."""
    return _PROVISIONING_STATES.get(provisioning_state.lower(), Observed.UNKNOWN)
